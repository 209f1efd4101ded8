from given import ADDRESS, KEY

from starlette.applications import Starlette
from millpond.compat.logtide_sdk import LogTideClient, ClientOptions
from millpond.compat.logtide_sdk.middleware import LogTideStarletteMiddleware

app = Starlette()
client = LogTideClient(ClientOptions(
    api_url=ADDRESS,
    api_key=KEY,
))

app.add_middleware(LogTideStarletteMiddleware, client=client, service_name='starlette-api')

from asked import ask

for path in ('/orders', '/health', '/healthz'):
    ask(app, path)
client.close()
