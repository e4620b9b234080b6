"""What this machine has: programs that a test runs, and the processes there are."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips a test that runs what this machine has not; nothing but Python and make is a must."""
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not on this machine: {', '.join(missing)}")


def children_of(parent: int) -> list[int]:
    """The process ids of a process's children; Linux alone tells."""
    return [pid for pid, owner in processes() if owner == parent]


def processes(command: bytes = b"") -> list[tuple[int, int]]:
    """Every process that has this in its command line, with its parent."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended while we looked
            if command in (folder / "cmdline").read_bytes():
                # The name before it stands in brackets and may hold anything.
                parent = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[1]
                found.append((int(folder.name), int(parent)))
    return found


def listening(pid: int) -> list[tuple[str, int]]:
    """Address and port of each TCP socket a process listens on; Linux alone tells, of IPv4."""
    links: list[str] = []
    with suppress(OSError):  # it ended while we looked
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                links.append(os.readlink(link))
    found = []
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in links:
            address, port = fields[1].split(":")
            found.append((".".join(str(b) for b in bytes.fromhex(address)[::-1]), int(port, 16)))
    return found
