from given import KEY

from millpond.compat.logiscout_logger import init, PROD

init(api_token=KEY, service_name="my-django-app", env=PROD)

ROOT_URLCONF = "myproject.urls"
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "x"
