"""One process owns a database file, proven by two locks of the operating system.

The lock file beside the database says who the owner is. A byte of the database itself is locked as
well, because a hard link in another folder has another lock file. Both locks die with their
process, so holding them proves that every former owner is dead. Two processes writing one SQLite
file would starve each other, and through two names each would lose what the other wrote.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.core.errors import StoreLocked, StoreUnavailable
from gateway.store.sqlite.database import keep_private
from gateway.store.sqlite.files import identity, second_name
from gateway.store.sqlite.set_aside import mend

_OWNER_BYTE = 1 << 60
"""Beyond what a database can hold, and so beyond the bytes that SQLite locks."""
_FILE = ", database file "
_SHARE = "Stop that one, or let several processes share PostgreSQL (TURNGATE_STORE=postgresql://…)."


class Owner(NamedTuple):
    """Which process has a database, and which file it uses as that; empty before it is open."""

    name: str
    file: str

    def has(self, database: Path) -> bool:
        """Whether that is the file which has the name now."""
        found = ":".join(map(str, identity(os.stat(database))))
        return self.file in ("", found)


class FileLock:
    """The locks of one database, held from construction to `release`.

    With `make` the database is made, empty, where there is none. Raises `StoreLocked` when another
    process holds one of them, `StoreUnavailable` when they cannot be made or the database has
    several names. SQLite's connections to the database have to be closed before `release`, which
    would take their locks away.
    """

    def __init__(self, database: Path, *, make: bool = False) -> None:
        database = database.resolve()  # a symbolic link is another name of the same file
        self._owned: int | None = None
        self._fd = _lock_file(database)
        try:
            # Opened only by the holder of the lock file: closing a second descriptor in the owner's
            # process would drop the locks SQLite holds there.
            if make:
                keep_private(database)
            if database.exists():
                mend(database)
                self._owned = _lock_database(database)
        except OSError as error:
            self.release()
            raise StoreUnavailable(f"cannot open {database}: {error.strerror}") from error
        except BaseException:
            self.release()
            raise

    def opened(self) -> None:
        """Write down which file is in use, for those who look at it from outside."""
        if self._owned is not None:
            _sign(self._fd, os.fstat(self._owned))

    def release(self) -> None:
        """Let go. The lock file stays: removing it would race with the next owner."""
        if self._owned is not None:
            os.close(self._owned)
        os.close(self._fd)


def _lock_file(database: Path) -> int:
    path = Path(f"{database}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot make the lock file {path}: {error.strerror}; is the folder there and writable?"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _signed(descriptor).name
        os.close(descriptor)
        raise StoreLocked(f"{database} belongs to another process ({holder}). {_SHARE}") from error
    _sign(descriptor)
    return descriptor


def owner(database: Path) -> Owner | None:
    """Who has a database open, as it signed its lock file; None when no process has."""
    try:
        descriptor = os.open(f"{database.resolve()}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _signed(descriptor)
    except OSError:  # a file system without locks; opening it for writing says more
        return None
    finally:
        os.close(descriptor)
    return None


def _sign(descriptor: int, database: os.stat_result | None = None) -> None:
    """Write down which process has the lock, and which file it has locked as the database."""
    text = f"pid {os.getpid()} on {socket.gethostname()}"
    if database is not None:
        text += f"{_FILE}{':'.join(map(str, identity(database)))}"
    with suppress(OSError):  # on a full disk the lock holds all the same
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{text}\n".encode(), 0)


def _signed(descriptor: int) -> Owner:
    text = os.pread(descriptor, 400, 0).decode(errors="replace").strip()
    name, _, file = text.partition(_FILE)
    return Owner(name or "unknown", file)


def _lock_database(database: Path) -> int:
    """The descriptor that holds the lock on the file itself, whatever its name."""
    descriptor = os.open(database, os.O_RDWR | os.O_CLOEXEC)
    try:
        if (links := os.fstat(descriptor).st_nlink) > 1:
            raise StoreUnavailable(second_name(database, links))
        _lock_byte(descriptor, database)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_byte(descriptor: int, database: Path) -> None:
    """Lock for this descriptor rather than for the process, as SQLite's locks are, and `flock`'s
    on some systems: they neither collide with it nor end it."""
    # macOS has no such lock in Python: there only the count of names keeps a second owner out.
    if (operation := getattr(fcntl, "F_OFD_SETLK", None)) is None:
        return
    request = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, _OWNER_BYTE, 1, 0)
    try:
        fcntl.fcntl(descriptor, operation, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise StoreLocked(
                f"{database} belongs to another process, which opened it under another name. "
                f"{_SHARE}"
            ) from error
        # Some network file systems have no such locks; the lock file holds there.
