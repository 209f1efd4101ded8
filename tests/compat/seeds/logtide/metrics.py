from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))
client.info('svc', 'counted')
client.flush()

metrics = client.get_metrics()

print(f"Logs sent:              {metrics.logs_sent}")
print(f"Logs dropped:           {metrics.logs_dropped}")
print(f"Errors:                 {metrics.errors}")
print(f"Retries:                {metrics.retries}")
print(f"Avg latency:            {metrics.avg_latency_ms:.1f}ms")
print(f"Circuit breaker trips:  {metrics.circuit_breaker_trips}")

print(client.get_circuit_breaker_state())  # CLOSED | OPEN | HALF_OPEN

client.reset_metrics()
print(client.get_metrics())
