"""A Flask application behind `LogTideFlaskMiddleware`, asked by its own test client."""

from flask import Flask, abort, jsonify
from given import ADDRESS, KEY, report
from logtide_sdk import ClientOptions, LogTideClient, set_tag
from logtide_sdk.middleware import LogTideFlaskMiddleware

TRACE = "ab" * 16
client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))


def app(**options):
    made = Flask("shop")
    LogTideFlaskMiddleware(made, client=client, service_name="flask-api", **options)

    @made.route("/orders", methods=["GET", "POST"])
    def orders():
        set_tag("view", "orders")
        client.info("flask-api", "in the view")
        return jsonify(orders=[1])

    @made.route("/teapot")
    def teapot():
        return "short and stout", 418

    @made.route("/gone")
    def gone():
        abort(410)

    @made.route("/fails")
    def fails():
        raise ValueError("no such order")

    @made.route("/handled")
    def handled():
        raise KeyError("handled by the application")

    @made.errorhandler(KeyError)
    def handle(error):
        return "handled", 409

    @made.route("/<any(health, metrics):name>")
    def health(name):
        return "ok"

    return made.test_client()


plain = app(skip_paths=["/metrics"])
seen = []
for path in ("/orders?secret=1", "/teapot", "/handled", "/health", "/metrics"):
    seen.append(plain.get(path, headers={"traceparent": f"00-{TRACE}-{'cd' * 8}-01"}).status_code)
seen.append(plain.get("/orders", headers={"X-Trace-ID": "legacy", "X-Forwarded-For": "1.2.3.4"}).status_code)
full = app(include_body=True, include_headers=True, skip_health_check=False)
headers = {"Authorization": "Bearer hunter2", "Cookie": "session=hunter2", "X-Shop": "a", "X-Trace-ID": "full"}
full.post("/orders", json={"sku": "a"}, headers=headers)
full.get("/health", headers={"X-Trace-ID": "health"})
app(log_requests=False, log_responses=False, log_errors=False).get("/orders", headers={"X-Trace-ID": "quiet"})
# From here on the original answers for the application.
for path in ("/gone", "/missing", "/fails"):
    answer = plain.get(path, headers={"X-Trace-ID": "failing"})
    seen.append([answer.status_code, answer.text[:15]])
client.close()
report(seen)
