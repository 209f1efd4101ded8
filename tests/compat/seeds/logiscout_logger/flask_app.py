"""The Flask sample, and a request to it."""

from flask import Flask
from given import KEY

from millpond.compat.logiscout_logger import init, get_logger, wsgiConfiguration, PROD

app = Flask(__name__)

init(api_token=KEY, service_name="my-flask-app", env=PROD)
app.wsgi_app = wsgiConfiguration(app.wsgi_app)

logger = get_logger("api")


@app.route("/users/<int:user_id>")
def get_user(user_id):
    logger.info("Fetching user", user_id=user_id)
    return {"user_id": user_id}


if __name__ == "__main__":
    with app.test_client() as client:
        assert client.get("/users/7").json == {"user_id": 7}
