"""``millpond.init`` and the functions of the process-wide client."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from millpond import _config
from millpond._capture import capture, release
from millpond._config import REQUEST_OPTIONS, ConfigurationError, names_from, settings_from
from millpond._flow import Flow, checked_step
from millpond._logger import Logger, logger_of
from millpond._runtime import runtime
from millpond._start import preview as preview_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from millpond._config import Options
    from millpond.middleware import RequestOptions

    class _InitOptions(Options, RequestOptions, total=False):
        """Options of the client, and of the requests of ``app``."""


def init(
    app: object = None,
    *,
    capture_logging: bool = True,
    ignore_loggers: Collection[str] = (),
    **options: Unpack[_InitOptions],
) -> None:
    """Wires everything: starts sending, takes what goes through the stdlib's ``logging`` (at the levels that the
    application has set), logs the requests of ``app`` if one is given, and flushes at the end of the program.

    Every option may also come from the environment: ``MILLPOND_`` and its name in capitals (``MILLPOND_LEVEL`` for
    ``min_level``); arguments go first. Nothing breaks while the server can't be reached: records wait in memory, and
    with ``spool_dir`` on disk.

    Calling it again with the same options does nothing; with others, a new client takes over and the old one is
    flushed and closed.

    :param app: a Flask, FastAPI, Starlette or Quart application; for others see the documentation. With it come the
        options of :class:`millpond.middleware.RequestOptions`, such as ``skip_paths`` and ``trusted_proxies``.
    :param capture_logging: whether to take what goes through ``logging``; else add a :class:`millpond.Handler`.
    :param ignore_loggers: names of stdlib loggers whose records, and those of their children, are not taken.
{options}

    :raises ConfigurationError: an option has a value that it can't have.
    """
    ignored = names_from(ignore_loggers, "init(ignore_loggers=…)")
    of_client: dict[str, Any] = dict(options)
    of_requests = {name: of_client.pop(name) for name in REQUEST_OPTIONS if name in of_client}
    if of_requests and app is None:
        raise ConfigurationError(f"init({next(iter(of_requests))}=…) is about requests, expected `app` beside it")
    runtime.init(settings_from(of_client))
    if app is not None:
        from millpond._instrument import instrument

        instrument(app, **of_requests)
    if capture_logging:
        capture(ignore=ignored)
    else:
        release()


init.__doc__ = str(init.__doc__).replace("{options}", _config.documentation())


def get_logger(name: str | None = None, **attributes: object) -> Logger:
    """The logger of this name (``__name__`` is a good one), with attributes bound to it. Works before
    :func:`millpond.init`, and costs nothing to call again."""
    return logger_of(runtime, "root" if name is None else name, attributes)


def flow(name: str) -> Flow:
    """Begins a flow: a process of several steps, each of which is a record. Its id is made here."""
    return Flow(runtime, runtime.native.flow(str(name)))


def resume_flow(id: str, next_step: int) -> Flow:
    """Goes on with a flow that was begun elsewhere, from the step that is next."""
    return Flow(runtime, runtime.native.resume_flow(str(id), checked_step(next_step)))


def flow_from_server(name: str) -> Flow:
    """Begins a flow whose id the server makes. Waits for its answer.

    :raises ConnectionError: there is no answer, or it names no flow.
    """
    return Flow(runtime, runtime.native.flow_from_server(str(name)))


def flush(timeout: float | None = None) -> bool:
    """Waits until everything logged so far is delivered, at most ``timeout`` seconds (default: the shutdown
    time-out); whether it was. Other threads run meanwhile."""
    return runtime.flush(runtime.timeout(timeout))


def persist(timeout: float | None = None) -> bool:
    """Waits until everything logged so far is synced to the disk by the spool, or delivered; whether it is."""
    return runtime.persist(runtime.timeout(timeout))


def close(timeout: float | None = None) -> bool:
    """Flushes, then stops sending; whether everything was delivered. Records logged later are dropped and counted,
    until ``init`` is called again."""
    return runtime.close(runtime.timeout(timeout))


def metrics() -> dict[str, Any]:
    """The account of this process since the last ``init``.

    Of ``accepted`` records so many were ``delivered``, are ``queued`` in memory, ``spooled`` on disk, or were
    ``dropped``, by reason: ``overflow`` of the queue, ``too_large``, ``rejected`` one by one or ``refused`` with their
    batch by the server, ``closed`` before they could be delivered, ``panicked`` while they were written, ``nested`` too
    deep in other log calls, ``before_init``, and a few rarer ones. At every moment
    ``accepted == delivered + queued + spooled + sum(dropped.values())``.

    Besides: ``recovered`` from the spool of an earlier process; ``filtered`` by sampling or ``before_send`` (not among
    the accepted ones); ``redacted`` and ``truncated`` values; ``hook_failures`` of ``before_send``; ``batches``,
    ``retries``, ``errors`` and bytes of requests; ``latency_ms_mean`` of the last 100; the state of the ``breaker`` and
    its ``breaker_trips``.
    """
    return runtime.metrics()


def reset_metrics() -> None:
    """Begins to count anew. Records that have no fate yet count as accepted."""
    runtime.native.reset_metrics()


def preview(
    level: str | int, message: object, /, *args: object, exc_info: object = None, **fields: object
) -> dict[str, Any] | None:
    """The record that would be sent for this log call here and now, after redaction and ``before_send``, whatever the
    least level and sampling say; ``None`` if the hook drops it. Nothing is sent or counted."""
    return preview_of(runtime.native, level, message, args, None, exc_info, fields)
