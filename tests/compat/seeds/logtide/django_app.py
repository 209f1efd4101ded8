import os

import django
from django.http import HttpResponse
from django.urls import path


def view(request):
    return HttpResponse('ok')


urlpatterns = [path(name, view) for name in ('orders', 'health', 'healthz')]

if __name__ == '__main__':
    os.environ['DJANGO_SETTINGS_MODULE'] = 'django_settings'
    django.setup()
    from django.conf import settings
    from django.test import Client

    for address in ('/orders', '/health', '/healthz'):
        Client().get(address)
    settings.LOGTIDE_CLIENT.close()
