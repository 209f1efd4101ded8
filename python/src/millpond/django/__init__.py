"""Millpond for Django: one line at the end of ``settings.py``.

>>> import millpond.django
>>> millpond.django.install(globals(), service="shop")

It does what these three would: ``"millpond.django"`` in ``INSTALLED_APPS``, which calls :func:`millpond.init` when
Django has been set up, in management commands and workers too; ``"millpond.django.Middleware"`` first in
``MIDDLEWARE``, which records requests; and the options in ``MILLPOND``.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.django._middleware import Middleware

_APP = "millpond.django"
_MIDDLEWARE = "millpond.django.Middleware"


def install(settings: MutableMapping[str, Any], **options: Any) -> None:
    """Adds Millpond to the settings of a project: ``install(globals())``, as the last line of ``settings.py``. What is
    there already is not added twice.

    :param settings: the names of the settings module.
    :param options: those of :func:`millpond.init`, and those of :class:`~millpond.middleware.RequestOptions`. They go
        before what ``MILLPOND`` says.
    """
    for name, entry in (("INSTALLED_APPS", _APP), ("MIDDLEWARE", _MIDDLEWARE)):
        entries = settings.get(name, [])
        if entry not in entries:
            # The first middleware is the outermost one, which sees the others fail.
            settings[name] = [entry, *entries]
    settings["MILLPOND"] = {**settings.get("MILLPOND", {}), **options}


def __getattr__(name: str) -> Any:
    # settings.py imports this module before there are any settings.
    if name == "Middleware":
        from millpond.django._middleware import Middleware

        return Middleware
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Middleware", "install"]
