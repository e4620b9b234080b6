"""The files of an open database: whether each name still leads to the file that is written.

A deleted or renamed file goes on taking writes, and a second name lets another program in past the
locks, so both are looked for before a commit, and once more before it is acknowledged. Names are
looked up and nothing is opened: closing any descriptor of a database file would drop the locks
SQLite holds on it for this process.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from gateway.core.errors import StoreUnavailable
from gateway.store.base.store import Loss

Identity = tuple[int, int]
"""Device and inode: which file it is, whatever it is called."""
Known = tuple[str, Identity]


class Files:
    """Database, write-ahead log, its index, and lock, as they are now that all of them are open.

    Raises `StoreUnavailable` when one of them is not there.
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        self.wal = Path(f"{database}-wal")
        try:
            (self._folder,) = _known(str(database.parent))
            self._content = _known(str(database), str(self.wal))
            self._beside = _known(f"{database}-shm", f"{database}.lock")
        except OSError as error:
            raise StoreUnavailable(f"{error.filename} went away while it was opened") from error

    def lost(self) -> Loss | None:
        """What has become of them; None when each is in its place, under one name."""
        reason = _changed(self._content) or _changed(self._beside)
        if reason and self._moved([self._folder]):
            return Loss("the folder of the database was deleted, moved or replaced", final=True)
        return Loss(reason) if reason else None

    def content_moved(self) -> bool:
        """Whether what was written is not what the next start reads."""
        return self._moved(self._content)

    @property
    def folder(self) -> str:
        """Where they are, or were."""
        return self._folder[0]

    def database_moved(self) -> bool:
        """Whether the database's own name leads elsewhere."""
        return self._moved(self._content[:1])

    @staticmethod
    def _moved(files: Sequence[Known]) -> bool:
        return any(_now(path) != known for path, known in files)


def identity(status: os.stat_result) -> Identity:
    """Of a file that was looked up."""
    return status.st_dev, status.st_ino


def _known(*paths: str) -> list[Known]:
    return [(path, identity(os.stat(path))) for path in paths]


def _changed(files: Sequence[Known]) -> str:
    """The first change, by the file's name alone: clients are told, and paths are not theirs."""
    for path, known in files:
        try:
            status = os.stat(path)
        except OSError:
            return f"{os.path.basename(path)} was deleted or moved"
        if identity(status) != known:
            return f"{os.path.basename(path)} was replaced by another file"
        if status.st_nlink > 1:
            return f"{os.path.basename(path)} has {status.st_nlink} names (hard links)"
    return ""


def second_name(path: Path, links: int) -> str:
    """The sentence about a file with hard links, for its operator."""
    return (
        f"{path} has {links} names (hard links), so a program could write to it past the locks; "
        f"remove the others, which this finds: find / -xdev -samefile {shlex.quote(str(path))}"
    )


def _now(path: str) -> Identity | None:
    try:
        return identity(os.stat(path))
    except OSError:
        return None
