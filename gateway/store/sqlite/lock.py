"""One process owns a database file, proven by an operating-system lock beside it.

The lock dies with its process, so holding it proves that every former owner is dead. Two processes
writing one SQLite file would starve each other; the second is told who the first is.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path

from gateway.core.errors import StoreLocked, StoreUnavailable


class FileLock:
    """`<database>.lock`, held from construction to `release`.

    Raises `StoreLocked` when another process holds it, `StoreUnavailable` when it cannot be made.
    """

    def __init__(self, database: Path) -> None:
        self._path = Path(f"{database}.lock")
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot make the lock file {self._path}: {error.strerror}; "
                "is the folder there and writable?"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 200, 0).decode(errors="replace").strip()
            os.close(self._fd)
            raise StoreLocked(
                f"{database} belongs to another process ({holder or 'unknown'}). Stop that one, or "
                "let several processes share PostgreSQL (TURNGATE_STORE=postgresql://…)."
            ) from error
        with suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        self._identity = _identity(os.fstat(self._fd))

    def held(self) -> bool:
        """False once somebody removed or replaced the file: a second owner may exist."""
        try:
            return _identity(os.stat(self._path)) == self._identity
        except OSError:
            return False

    def release(self) -> None:
        """Let go. The file stays: removing it would race with the next owner."""
        os.close(self._fd)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
