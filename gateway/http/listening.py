"""Where the gateway listens: addresses, a port, certificates; and what is too open to start."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.addresses import is_loopback
from gateway.core.errors import ConfigError

BACKLOG = 1024
"""Connections the kernel holds while the loop is busy; it cuts the number to its own bound."""
UNSENT_BYTES = 16 * 1024
"""What the kernel takes ahead of what a peer has room for.

By default it takes megabytes, and a peer that reads slowly shows no progress for minutes; nor could
a preview overtake what was already handed over.
"""
_PORT_TRIES = 16
"""How often to look for one port that is free on every address; two addresses collide rarely."""


@dataclass(frozen=True, slots=True)
class Listen:
    """What to bind and whom to answer; host names are those of the settings."""

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8765
    """0 picks a free one."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    open_metrics: bool = False
    passed: tuple[int, ...] = ()
    """Sockets that a parent process has bound: used instead of hosts and port."""

    @property
    def scheme(self) -> str:
        """`https` with a certificate."""
        return "https" if self.tls_cert else "http"


def sockets_of(listen: Listen) -> list[socket.socket]:
    """Listening sockets, bound here or by a parent. Raises `ConfigError` when that cannot be."""
    if not listen.passed:
        return open_sockets(listen.hosts, listen.port)
    try:
        return [socket.socket(fileno=number) for number in listen.passed]
    except OSError as error:
        raise ConfigError(
            f"TURNGATE_SOCKETS names what is no open socket here: {error.strerror}"
        ) from error


def open_sockets(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listening sockets, all on one port. Raises `ConfigError` when that cannot be."""
    addresses = _resolve(hosts)
    for attempt in range(_PORT_TRIES):
        try:
            return _bind_all(addresses, port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            if port == 0 and taken and attempt < _PORT_TRIES - 1:
                continue
            hint = (
                f"port {port} is taken; is another gateway running? Set TURNGATE_PORT, 0 picks one"
                if taken
                else f"{error.strerror}; see TURNGATE_HOST and TURNGATE_PORT"
            )
            raise ConfigError(f"cannot listen on {', '.join(hosts)}: {hint}") from error
    raise AssertionError("the last attempt returns or raises")


def _resolve(hosts: Sequence[str]) -> list[tuple[socket.AddressFamily, str]]:
    found: dict[tuple[socket.AddressFamily, str], None] = {}
    for host in hosts:
        try:
            infos = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise ConfigError(f"TURNGATE_HOST: {host!r} is no address here: {error}") from error
        for family, _, _, _, address in infos:
            if family in (socket.AF_INET, socket.AF_INET6):
                found[(family, str(address[0]))] = None
    return list(found)


def _bind_all(
    addresses: Sequence[tuple[socket.AddressFamily, str]], port: int
) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    try:
        for family, address in addresses:
            sockets.append(_bind(family, address, port))
            port = sockets[0].getsockname()[1]
    except OSError:
        for bound in sockets:
            bound.close()
        raise
    return sockets


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only for sockets whose protocol says TCP, and what is
    # accepted inherits it from here; without it small messages wait 40 ms for an acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def url_of(scheme: str, sockets: Sequence[socket.socket]) -> str:
    """How a client on this machine reaches the first of them."""
    address, port = sockets[0].getsockname()[:2]
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified:
        parsed = ipaddress.ip_address("::1" if parsed.version == 6 else "127.0.0.1")
    name = f"[{parsed}]" if parsed.version == 6 else str(parsed)
    return f"{scheme}://{name}:{port}"


def tls_context(listen: Listen) -> ssl.SSLContext | None:
    """The server's side of TLS; None without a certificate. Raises `ConfigError`."""
    if listen.tls_cert is None:
        if listen.tls_key is not None:
            raise ConfigError("TURNGATE_TLS_KEY is set and TURNGATE_TLS_CERT is not")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(listen.tls_cert, listen.tls_key, password=_no_password)
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error)
        if isinstance(error, ssl.SSLError):
            why = f"one of them is not PEM, or they are no pair ({error.reason or why})"
        raise ConfigError(
            f"cannot use the certificate {listen.tls_cert} with the key "
            f"{listen.tls_key or listen.tls_cert}: {why}"
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; nobody is there to type its passphrase")


def check_open_bind(listen: Listen, *, token_was_set: bool) -> str | None:
    """What to warn of when other machines can connect; None when they cannot.

    Raises `ConfigError` when they could and nobody has chosen a credential: one that the gateway
    made up by itself is for who started it, not for a network.
    """
    outside = [host for host in listen.hosts if not is_loopback(host)]
    if not outside:
        return None
    if not token_was_set:
        raise ConfigError(
            f"TURNGATE_HOST={', '.join(outside)} lets other machines connect: set TURNGATE_TOKEN "
            "to a secret of your own; openssl rand -hex 32 prints one"
        )
    if listen.tls_cert is None and not listen.trusted_proxies:
        return (
            f"listening on {', '.join(outside)} without TLS: tokens and messages cross the network "
            "in clear; set TURNGATE_TLS_CERT or put a proxy in front"
        )
    return None
