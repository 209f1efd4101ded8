from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions, PayloadLimitsOptions

client = LogTideClient(
    ClientOptions(
        # Required
        api_url=ADDRESS,
        api_key=KEY,

        # Performance
        batch_size=100,               # Logs per batch before immediate flush (default: 100)
        flush_interval=5000,          # Auto-flush interval in ms (default: 5000)
        max_buffer_size=10000,        # Max buffered logs; excess are silently dropped (default: 10000)

        # Reliability
        max_retries=3,                # Max retry attempts on send failure (default: 3)
        retry_delay_ms=1000,          # Initial retry delay, doubles each attempt (default: 1000)
        circuit_breaker_threshold=5,  # Consecutive failures before opening circuit (default: 5)
        circuit_breaker_reset_ms=30000, # Time before testing a half-open circuit (default: 30000)

        # Observability
        global_metadata={             # Merged into every log entry
            'env': 'production',
            'version': '1.0.0',
            'region': 'eu-west-1',
        },
        auto_trace_id=False,          # Auto-generate a UUID trace ID per log (default: False)

        # Payload safety
        payload_limits=PayloadLimitsOptions(
            max_field_size=10 * 1024,     # Max length of any single string field (default: 10 KB)
            max_log_size=100 * 1024,      # Max total serialized entry size (default: 100 KB)
            exclude_fields=['password'],  # Fields replaced with "[EXCLUDED]"
        ),

        # Debug
        debug=False,                  # Print debug output to console (default: False)
    )
)

# What the options do.
client.info('svc', 'configured', {'env': 'test', 'password': 'hunter2', 'long': 'a b ' * 4096})
client.close()
