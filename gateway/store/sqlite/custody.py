"""What the writer does when files of its database are taken away: it refuses, saves, and reports.

A unit is acknowledged only when it is in the files the next start reads. Files that come back to
their places are written again; a unit that was committed just as they left is the exception, since
its sender was told that it does not hold: from then on only a restart clears the doubt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.core.errors import StoreUnavailable
from gateway.store.base.store import Loss
from gateway.store.sqlite.files import Files
from gateway.store.sqlite.saving import save

log = structlog.get_logger(__name__)


class Custody:
    """The state of one database's files; used from the thread that writes."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._doubt: Loss | None = None
        self._reported: Loss | None = None
        self._tried = False
        self._copy: Path | None = None
        self.loss: Loss | None = None

    def check(self) -> None:
        """Raise `StoreUnavailable` unless every file is in its place; before a transaction."""
        self.loss = self._doubt or self._files.lost()
        if self.loss is not None:
            raise StoreUnavailable(self._sentence(self.loss))

    def check_written(self) -> None:
        """Raise `StoreUnavailable` when what was committed is not where it belongs."""
        if self._files.content_moved():
            reason = self._files.lost() or Loss(
                f"{self._files.database.name} was away for a moment"
            )
            self.loss = self._doubt = reason
            raise StoreUnavailable(self._sentence(reason))

    def follow_up(self, connection: sqlite3.Connection, pause: Callable[[], None]) -> None:
        """After a batch: report a change once, and save what is at risk; `pause` as in `save`."""
        if self.loss is None:
            if self._reported is not None:
                self._drop_copy()
                self._tried = False
                log.warning("store.back", database=str(self._files.database))
        else:
            if self.loss != self._reported:
                log.error("store.lost", reason=self.loss.reason, folder=self._files.folder)
            if not self._tried:
                self._save(connection, pause)
        self._reported = self.loss

    def end(self, connection: sqlite3.Connection) -> None:
        """Before the connection closes: leave what it has in the database, or saved beside it."""
        if self.loss is None:
            return
        if not self._files.content_moved() or (
            not self._files.database_moved() and _emptied_log(connection)
        ):
            self._drop_copy()
        elif self._copy is None:
            self._save(connection, lambda: None)

    def _save(self, connection: sqlite3.Connection, pause: Callable[[], None]) -> None:
        lost = self._files.lost()
        if lost is None or lost.final or not self._files.content_moved():
            return
        self._tried = True
        try:
            self._copy = save(connection, self._files.database, pause)
        except (sqlite3.Error, OSError) as error:
            log.error("store.not_saved", reason=str(error))
        else:
            log.error("store.saved", copy=str(self._copy))

    def _drop_copy(self) -> None:
        """What it holds is in the database."""
        if self._copy is not None:
            self._copy.unlink(missing_ok=True)
            self._copy = None

    def _sentence(self, loss: Loss) -> str:
        todo = "the gateway is restarted" if self._doubt is not None else "that is undone"
        kept = f" What was written is saved as {self._copy.name}." if self._copy is not None else ""
        return f"{loss.reason}. Nothing more is written until {todo}.{kept}"


def _emptied_log(connection: sqlite3.Connection) -> bool:
    """Move everything from a log that lost its name into the database, which has not."""
    try:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    return not busy
