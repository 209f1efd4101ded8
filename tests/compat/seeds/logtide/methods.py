from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))

client.debug('service', 'Debug message')
client.info('api-gateway', 'Request received', {'method': 'GET', 'path': '/users'})
client.warn('cache', 'Cache miss', {'key': 'user:123'})
client.error('database', 'Query failed', {'query': 'SELECT *'})
client.critical('system', 'Out of memory', {'used': '95%'})

try:
    raise RuntimeError('Database timeout')
except Exception as e:
    client.error('database', 'Query failed', e)

client.close()
