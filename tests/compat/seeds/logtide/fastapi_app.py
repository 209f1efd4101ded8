from given import ADDRESS, KEY

from fastapi import FastAPI
from millpond.compat.logtide_sdk import LogTideClient, ClientOptions
from millpond.compat.logtide_sdk.middleware import LogTideFastAPIMiddleware

app = FastAPI()
client = LogTideClient(ClientOptions(
    api_url=ADDRESS,
    api_key=KEY,
))

app.add_middleware(LogTideFastAPIMiddleware, client=client, service_name='fastapi-api')


@app.get('/{path}')
def view(path: str):
    return path


from asked import ask

for path in ('/orders', '/health', '/healthz'):
    ask(app, path)
client.close()
