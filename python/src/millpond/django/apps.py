"""What Django calls when it has been set up."""

from __future__ import annotations

from django.apps import AppConfig

import millpond
from millpond.django._options import split


class MillpondConfig(AppConfig):
    """Starts sending, with the options in the setting ``MILLPOND`` and what the environment says."""

    name = "millpond.django"
    label = "millpond"
    verbose_name = "Millpond"

    def ready(self) -> None:
        """Calls ``millpond.init``."""
        options, _ = split()
        millpond.init(**options)
