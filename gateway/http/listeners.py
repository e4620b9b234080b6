"""Which process listens on a port of this machine, and whether it is ours. Linux alone tells."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

MAX_PROCESSES = 20_000
"""Maximum number of processes looked through for the one that listens."""
LISTENING = "0A"
LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket, as the kernel lists it."""

    address: IPv4Address | IPv6Address
    uid: int
    inode: str


def listeners(port: int) -> Iterator[Listener]:
    """Every socket that listens on this port; none where the system does not tell."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            address, _, number = fields[1].rpartition(":")
            if fields[3] == LISTENING and int(number, 16) == port:
                yield Listener(_address(address), int(fields[7]), fields[9])


def is_own_listener(url: str, pid: int) -> bool:
    """Whether that process belongs to this user and listens at that address of this machine.

    False also where it cannot be proven.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        wanted = ip_address("127.0.0.1" if host == "localhost" else host)
        port = parts.port or 0
    except ValueError:  # a name could lead anywhere
        return False
    return any(
        each.uid == os.geteuid()
        and (each.address == wanted or (each.address.is_unspecified and host in LOCAL))
        and _holds(pid, each)
        for each in listeners(port)
    )


def owner(port: int) -> str:
    """The process that listens on this port, for people, as far as this user may see."""
    found = list(listeners(port))
    names = [name for name in _listing(Path("/proc")) if name.isdigit()][:MAX_PROCESSES]
    for pid in names if found else ():
        if any(_holds(int(pid), each) for each in found):
            return f"pid {pid} ({_command(pid)})"
    return "another process"


def _holds(pid: int, listener: Listener) -> bool:
    folder = Path("/proc", str(pid), "fd")
    wanted = f"socket:[{listener.inode}]"
    return any(_link(folder / name) == wanted for name in _listing(folder))


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel prints each word of four bytes in the order of this machine."""
    raw = bytes.fromhex(text)
    if sys.byteorder == "little":
        raw = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return IPv4Address(raw) if len(raw) == 4 else IPv6Address(raw)


def _listing(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _command(pid: str) -> str:
    try:
        return Path("/proc", pid, "comm").read_text("utf-8", errors="replace").strip()
    except OSError:
        return "gone"
