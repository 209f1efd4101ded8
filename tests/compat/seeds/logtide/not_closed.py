from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY))

client.info('api-gateway', 'Server started', {'port': 3000})
