# settings.py
from given import ADDRESS, KEY

from millpond.compat.logtide_sdk import LogTideClient, ClientOptions

LOGTIDE_CLIENT = LogTideClient(ClientOptions(
    api_url=ADDRESS,
    api_key=KEY,
))
LOGTIDE_SERVICE_NAME = 'django-api'

MIDDLEWARE = [
    'millpond.compat.logtide_sdk.middleware.LogTideDjangoMiddleware',
    # ...
]

ALLOWED_HOSTS = ['*']
ROOT_URLCONF = 'django_app'
SECRET_KEY = 'x'
