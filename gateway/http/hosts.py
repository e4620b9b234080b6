"""Which `Host` and `Origin` headers are ours: pure decisions on text.

A page of a stranger may point a name of his at this machine and let the visitor's browser call us
(DNS rebinding), or call us from his own page (cross-site requests). The first shows in `Host`, the
second in `Origin`, which a browser always sends with a WebSocket and a POST. Both are compared
whole, against lists; nothing depends on the peer being on this machine.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.core.errors import ConfigError

_HOST = re.compile(
    r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::([0-9]{1,5}))?"
)
_ORIGIN = re.compile(r"https?://[^/@\s]+")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
_STANDARD_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Host:
    """A name in lower case, or an address in its shortest form, and a port if one was given."""

    name: str
    port: int | None

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


def parse_host(text: str) -> Host | None:
    """What a `Host` header names; None for anything that is not exactly a name and a port."""
    found = _HOST.fullmatch(text)
    if found is None:
        return None
    name, port = found[1].lower(), found[2]
    try:
        if name.startswith("["):
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
    except ValueError:
        return None
    return Host(name, int(port) if port else None)


class Allowed:
    """The hosts we answer to and the origins whose pages may call us."""

    def __init__(
        self,
        bound: Iterable[tuple[str, int]],
        *,
        scheme: str,
        hosts: Sequence[str] = (),
        origins: Sequence[str] = (),
    ) -> None:
        """`bound` are the addresses and ports listened on, the others come from the settings.

        A host of the settings without a port stands for the standard port, where browsers leave it
        out, and for the ports listened on. Raises `ConfigError` for an entry that can never match.
        """
        addresses = list(bound)
        ports = {port for _, port in addresses}
        entries = {Host(name, port) for name, port in _own(addresses)}
        for text in hosts:
            host = parse_host(text)
            if host is None:
                raise ConfigError(f"{text!r} is no host: give name or name:port, like gw.lan:8765")
            entries.add(host)
            if host.port is None:
                entries.update(Host(host.name, port) for port in (*ports, 80, 443))
        standard = _STANDARD_PORTS[scheme]
        entries.update(Host(h.name, None) for h in tuple(entries) if h.port == standard)
        self._hosts = frozenset(entries)
        self._shared = frozenset(_checked_origin(text) for text in origins)
        self._origins = frozenset(
            {f"{scheme}://{_as_origin(host, standard)}" for host in entries}
            | {f"https://{host.name}" for text in hosts if (host := parse_host(text))}
            | self._shared
        )

    def host(self, values: Sequence[str]) -> bool:
        """Whether these are the values of `Host` of a request for us: exactly one, and listed."""
        return len(values) == 1 and parse_host(values[0]) in self._hosts

    def origin(self, values: Sequence[str]) -> bool:
        """Whether these values of `Origin` may call us: none (no browser), or one that is listed.

        Compared as it stands: browsers write origins in lower case and without standard ports.
        """
        return not values or (len(values) == 1 and values[0] in self._origins)

    def shares(self, values: Sequence[str]) -> bool:
        """Whether this is a page of another origin that the settings name: it may read answers."""
        return len(values) == 1 and values[0] in self._shared

    def site(self, origins: Sequence[str], fetch_site: Sequence[str]) -> bool:
        """Whether `Sec-Fetch-Site` agrees: it decides only where there is no `Origin`."""
        return bool(origins) or all(value in ("same-origin", "none") for value in fetch_site)


def _own(bound: Iterable[tuple[str, int]]) -> Iterable[tuple[str, int]]:
    """Names for what is listened on. Any address at all stands for those of this machine only."""
    for address, port in bound:
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback or parsed.is_unspecified:
            yield from ((name, port) for name in LOOPBACK_NAMES)
        if not parsed.is_unspecified:
            yield (f"[{parsed}]" if parsed.version == 6 else str(parsed)), port


def _as_origin(host: Host, standard: int) -> str:
    return host.name if host.port in (None, standard) else str(host)


def _checked_origin(text: str) -> str:
    if _ORIGIN.fullmatch(text) is None or text != text.lower():
        raise ConfigError(
            f"{text!r} is no origin: give scheme and host as a browser sends them, "
            "like https://console.example"
        )
    return text
