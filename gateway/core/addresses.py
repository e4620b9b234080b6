"""What an address says by itself; no name is looked up, so one not literally here is not here."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def url_problem(url: str) -> str:
    """Why nothing can be at a URL, in a few words; empty where that can be tried.

    A connection with one that has a problem raises one of six exceptions of as many libraries.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:  # a bracket without its pair, a port of letters, an endless label
        return str(error).removeprefix("encoding with 'idna' codec failed ")
    if not host or port == 0:
        return "it has no host" if not host else "its port is 0"
    return "" if url.isprintable() and " " not in url else "it has characters of no address"


def is_loopback(host: str) -> bool:
    """Whether a host name or an address stands for this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def counted_as(address: str) -> str:
    """The name under which what an address does is counted.

    Every household has a whole IPv6 network, 2**64 addresses: by single ones nobody would ever
    have too many connections or guesses.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
