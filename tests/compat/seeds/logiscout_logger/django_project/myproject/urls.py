from django.urls import path

from myproject.views import my_view

urlpatterns = [path("mine", my_view)]
