from given import ADDRESS, KEY, report

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))
client.error('api-gateway', 'timeout of the upstream', trace_id='trace-123')
client.info('api-gateway', 'no timeout')
client.flush()

from datetime import datetime, timedelta
from millpond.compat.logtide_sdk import QueryOptions, LogLevel

result = client.query(
    QueryOptions(
        service='api-gateway',
        level=LogLevel.ERROR,
        from_time=datetime.now() - timedelta(hours=24),
        to_time=datetime.now(),
        q='timeout',   # Full-text search
        limit=100,
        offset=0,
    )
)

print(f"Found {result.total} logs")
for log in result.logs:
    print(log['message'])

logs = client.get_by_trace_id('trace-123')

from millpond.compat.logtide_sdk import AggregatedStatsOptions

stats = client.get_aggregated_stats(
    AggregatedStatsOptions(
        from_time=datetime.now() - timedelta(days=7),
        to_time=datetime.now(),
        interval='1h',
    )
)

for service in stats.top_services:
    print(f"{service['service']}: {service['count']} logs")

report([[log['message'] for log in logs], sum(point['total'] for point in stats.timeseries)])
