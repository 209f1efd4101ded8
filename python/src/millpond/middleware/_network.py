"""Who asked: networks of trusted proxies, and the headers in which proxies name addresses. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Union

from millpond._config import ConfigurationError

_Address = Union[IPv4Address, IPv6Address]

#: Stands among the trusted proxies for a peer without an address: one that came through a Unix socket.
UNIX = "unix"


class Proxies:
    """The proxies that are believed when they name the address that a request came from."""

    def __init__(self, trusted: Iterable[str], header: str) -> None:
        named = [trusted] if isinstance(trusted, str) else list(trusted)
        self._unix = UNIX in named
        self._networks = [_network(text) for text in named if text != UNIX]
        self._read = _forwarded_for if header == "forwarded" else _address

    def client(self, peer: str | None, header: str | None) -> str | None:
        """The address of the client: the peer, or as long as that is a trusted proxy, whom it names. The header is
        read from its end, which the nearest proxy wrote."""
        client = _address(peer) if peer else None
        if client is None:
            if peer or not self._unix:
                return peer
        elif not self._trusts(client):
            return str(client)
        for element in reversed((header or "").split(",")):
            named = self._read(element.strip())
            if named is None:
                # Whoever named it is trusted; but it names nobody.
                break
            client = named
            if not self._trusts(client):
                break
        return None if client is None else str(client)

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _network(text: object) -> IPv4Network | IPv6Network:
    try:
        if isinstance(text, str):
            return ip_network(text, strict=False)
    except ValueError:
        pass
    raise ConfigurationError(
        f"trusted_proxies has {text!r}, expected an address such as 10.0.0.1, a network such as 10.0.0.0/8, or 'unix'"
    )


def _address(text: str) -> _Address | None:
    """``192.0.2.1``, ``192.0.2.1:4711``, ``2001:db8::1``, ``[2001:db8::1]``, ``[2001:db8::1]:4711``."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 address that is written as IPv6 is taken for what it is.
    return getattr(address, "ipv4_mapped", None) or address


def _forwarded_for(element: str) -> _Address | None:
    """The ``for`` of one element of RFC 7239: ``by=…;for="[2001:db8::1]:4711";proto=https``."""
    for pair in element.split(";"):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return _address(value.strip().strip('"'))
    return None
