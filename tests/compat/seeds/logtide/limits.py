from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions, PayloadLimitsOptions

client = LogTideClient(
    ClientOptions(
        api_url=ADDRESS,
        api_key=KEY,
        payload_limits=PayloadLimitsOptions(
            max_field_size=5 * 1024,           # Truncate strings longer than 5 KB
            max_log_size=100 * 1024,           # Drop entries larger than 100 KB
            exclude_fields=['password', 'token'],  # Replace with "[EXCLUDED]"
            truncation_marker='...[TRUNCATED]', # Appended to truncated strings
        ),
    )
)

client.info('svc', 'limited', {
    'password': 'hunter2',
    'nested': {'token': 'hunter2', 'kept': 'yes'},
    'long': 'a b ' * 2048,
    'image': 'iVBORw0KGgo=' * 20,
})
client.info('svc', 'too large', {f'field {n}': 'a b ' * 1024 for n in range(40)})
client.close()
