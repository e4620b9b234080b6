"""What this machine has: programs that a test runs, and the processes there are."""

from __future__ import annotations

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
