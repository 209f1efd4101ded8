"""Address and key in one text: ``https://KEY@HOST[:PORT][/BASE]``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


class DsnParseError(ValueError):
    """The text is no DSN."""


@dataclass(frozen=True)
class DsnParts:
    """What a DSN says."""

    api_url: str
    api_key: str


def parse_dsn(dsn: str) -> DsnParts:
    """Takes a DSN apart. A password, query or fragment is ignored.

    :raises DsnParseError: it has no key or host, or is no HTTP address.
    """
    if not isinstance(dsn, str) or not dsn:
        raise DsnParseError("DSN is empty, expected scheme://KEY@HOST")
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError as error:
        raise DsnParseError(f"DSN is no address: {error}") from error
    if parts.scheme not in ("http", "https"):
        raise DsnParseError(f"DSN starts with {parts.scheme!r}, expected http or https")
    if not parts.username:
        raise DsnParseError("DSN has no API key, expected scheme://KEY@HOST")
    host = parts.hostname
    if not host:
        raise DsnParseError("DSN has no host, expected scheme://KEY@HOST")
    if ":" in host:
        host = f"[{host}]"
    place = host if port is None else f"{host}:{port}"
    return DsnParts(f"{parts.scheme}://{place}{parts.path.rstrip('/')}", parts.username)
