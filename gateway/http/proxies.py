"""Who the client is when a proxy stands in between: believed from configured proxies only."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from gateway.core.errors import ConfigError

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Networks whose `X-Forwarded-For` is believed; none by default."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Raises `ConfigError` for what is no address and no network."""
        try:
            self._networks: list[_Network] = [ipaddress.ip_network(text) for text in networks]
        except ValueError as error:
            raise ConfigError(f"a trusted proxy is an address or a network: {error}") from None

    def trusts(self, address: str) -> bool:
        """Whether this address is one of the proxies."""
        if not self._networks:
            return False
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The address a request came from.

        Each proxy appends who called it, so the list is read from its end for as long as it was
        written by proxies that are trusted; what stands before is the client's own invention.
        """
        address = peer
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        while hops and self.trusts(address):
            hop = _address(hops.pop())
            if hop is None:
                break
            address = hop
        return address


def _address(hop: str) -> str | None:
    """The address of one hop, without a port; None for what is no address.

    RFC 7239 brackets an IPv6 address that has a port; Azure's gateways and some load balancers
    write `address:port` into `X-Forwarded-For` as well.
    """
    if hop.startswith("["):
        host, bracket, rest = hop[1:].partition("]")
        if not bracket or (rest and not _is_port(rest)):
            return None
    elif hop.count(":") == 1:
        host, _, port = hop.partition(":")
        if not _is_port(f":{port}"):
            return None
    else:
        host = hop
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


def _is_port(text: str) -> bool:
    return text.startswith(":") and text[1:].isascii() and text[1:].isdecimal()
