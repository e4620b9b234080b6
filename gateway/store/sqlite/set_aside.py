"""Keeping a former database while another takes its place, and mending where that was cut short.

Its name has to lead to a whole database at every moment, so it gets a second name before the new
file takes the first. Killed in between, both names are left, and through the second one a program
could write past the locks of the first: the next owner of the database takes it back.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

_WAL = "-wal"


def set_aside(path: Path) -> Path:
    """Keep what is at `path` under another name too, its newest writes included; that name.

    Afterwards no write-ahead log is left that a file put in its place would take for its own.
    """
    former = next(
        name for number in range(1, 10_000) if not (name := _former(path, str(number))).exists()
    )
    # Damaged: that may be why it is being replaced.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    former.hardlink_to(path)
    with suppress(FileNotFoundError):
        # Not empty where a reader was in the way, or the file is damaged.
        _beside(path, _WAL).rename(_beside(former, _WAL))
    _beside(path, "-shm").unlink(missing_ok=True)
    return former


def mend(path: Path) -> None:
    """Undo what a killed `set_aside` has left; for the owner of the database only."""
    prefix = _former(path, "").name
    beside = [former for former in path.parent.iterdir() if former.name.startswith(prefix)]
    for former in [former for former in beside if former.samefile(path)]:
        if _beside(former, _WAL).exists():
            _beside(former, _WAL).rename(_beside(path, _WAL))
        former.unlink()


def _former(path: Path, number: str) -> Path:
    return path.with_name(f"{path.name}.before-restore-{number}")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")
