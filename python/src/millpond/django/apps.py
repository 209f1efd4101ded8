"""What Django calls when it has been set up."""

from __future__ import annotations

from django.apps import AppConfig

import millpond
from millpond.django._options import split
from millpond.middleware import ACCESS_LOGGERS


class MillpondConfig(AppConfig):
    """Starts sending, with the options in the setting ``MILLPOND`` and what the environment says."""

    name = "millpond.django"
    label = "millpond"
    verbose_name = "Millpond"

    def ready(self) -> None:
        """Calls ``millpond.init``."""
        options, _ = split()
        # What Django says of requests, the middleware says better.
        ignored = [*ACCESS_LOGGERS, *options.pop("ignore_loggers", ())]
        millpond.init(ignore_loggers=ignored, **options)
