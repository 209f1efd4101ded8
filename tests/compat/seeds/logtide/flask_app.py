from given import ADDRESS, KEY

from flask import Flask
from millpond.compat.logtide_sdk import LogTideClient, ClientOptions
from millpond.compat.logtide_sdk.middleware import LogTideFlaskMiddleware

app = Flask(__name__)
client = LogTideClient(ClientOptions(
    api_url=ADDRESS,
    api_key=KEY,
))

LogTideFlaskMiddleware(
    app,
    client=client,
    service_name='flask-api',
    log_requests=True,
    log_responses=True,
    skip_paths=['/metrics'],
)


@app.get('/<path>')
def view(path):
    return path


for path in ('/orders', '/metrics', '/health', '/healthz'):
    app.test_client().get(path)
client.close()
