"""A database that tells what its writer does, and ways to look at its file from outside."""

import asyncio
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.store.sqlite.database import Database
from tests.support.patience import PATIENCE_S


class WatchedDatabase(Database):
    """Keeps the writer's connection and every statement it ran, with where it ran."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.ran: list[tuple[str, bool]] = []
        """Statements, and whether each was issued within a transaction."""
        self._changed = asyncio.Event()

    def connect_writer(self) -> sqlite3.Connection:
        loop = asyncio.get_running_loop()
        self.writer = writer = super().connect_writer()

        def note(statement: str) -> None:
            self.ran.append((statement, writer.in_transaction))
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._changed.set)

        writer.set_trace_callback(note)
        return writer

    def statements(self, start: str) -> list[str]:
        """Those that ran so far and begin with `start`."""
        return [statement for statement, _ in self.ran if statement.startswith(start)]

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for a condition that only the writer's statements can bring about."""
        async with asyncio.timeout(PATIENCE_S):
            while not met():
                self._changed.clear()
                await self._changed.wait()


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Hold SQLite's own write lock, so that the writer stands still at its next BEGIN."""
    with outside(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def outside(path: Path, *, options: str = "") -> Iterator[sqlite3.Connection]:
    """Another program's connection to the file."""
    connection = sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """What another program finds in the file right now."""
    with outside(path) as connection:
        return connection.execute(sql).fetchall()


def names(path: Path) -> int:
    """How many a file has; 0 for one that is not there."""
    return path.stat().st_nlink if path.exists() else 0


@contextmanager
def no_writing_beyond(size: int) -> Iterator[None]:
    """The kernel refuses this process to write past `size` bytes of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
