"""A Django project behind `LogTideDjangoMiddleware`, asked by its own test client."""

import logging

import django
from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from django.test import Client
from django.urls import path
from given import ADDRESS, KEY, report
from logtide_sdk import ClientOptions, LogTideClient, set_tag

client = LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0))
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="x",
    MIDDLEWARE=["logtide_sdk.middleware.LogTideDjangoMiddleware"],
    LOGTIDE_CLIENT=client,
    LOGTIDE_SERVICE_NAME="django-api",
    LOGTIDE_SKIP_PATHS=["/metrics"],
    LOGGING_CONFIG=None,
)
django.setup()
logging.disable(logging.CRITICAL)


def orders(request):
    set_tag("view", "orders")
    client.info("django-api", "in the view")
    return JsonResponse({"orders": [1]})


def missing(request):
    raise Http404("no such order")


def fails(request):
    raise ValueError("no such order")


def health(request):
    return HttpResponse("ok")


urlpatterns = [
    path("orders", orders),
    path("missing", missing),
    path("fails", fails),
    *(path(name, health) for name in ("health", "healthz/", "metrics")),
]

web = Client(raise_request_exception=False)
trace = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
seen = []
for address in ("/orders?secret=1", "/missing", "/nowhere", "/health", "/healthz/", "/metrics"):
    seen.append(web.get(address, headers=trace).status_code)
web.get("/orders", headers={"X-Trace-ID": "legacy", "X-Forwarded-For": "1.2.3.4, 5.6.7.8"})
seen.append(web.get("/fails", headers={"X-Trace-ID": "failing"}).status_code)
settings.LOGTIDE_INCLUDE_HEADERS = True
settings.LOGTIDE_LOG_RESPONSES = False
secret = {"Authorization": "Bearer hunter2", "X-Shop": "a", "X-Trace-ID": "full"}
Client().get("/orders", headers=secret)
del settings.LOGTIDE_CLIENT
try:
    Client().get("/orders")
except ValueError as error:
    seen.append(type(error).__name__)
client.close()
report(seen)
