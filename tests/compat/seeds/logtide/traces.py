from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))

client.set_trace_id('request-123')

client.info('api', 'Request received')
client.info('db', 'Querying users')
client.info('api', 'Response sent')

client.set_trace_id(None)  # clear

with client.with_trace_id('request-456'):
    client.info('api', 'Processing in context')
    client.warn('cache', 'Cache miss')
# Trace ID automatically restored after block

with client.with_new_trace_id():
    client.info('worker', 'Background job started')
    client.info('worker', 'Job completed')

client.info('api', 'Outside')
client.close()

automatic = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, auto_trace_id=True))
automatic.info('api', 'Automatic')
automatic.close()
