"""The file that keeps the operator's token: whole or not there, made once, for its owner alone.

Several gateways may start on one home together. The first to make the file decides which token it
is, and a reader never finds part of one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from gateway.core.errors import ConfigError


class KeptToken(Protocol):
    """Where the operator's token is kept for commands on this machine."""

    def read(self) -> str:
        """The token, empty for none. Raises `ConfigError`."""
        ...

    def keep(self, token: str) -> bool:
        """Keep a token where none is; False where one is by now. Raises `ConfigError`."""
        ...

    def drop(self) -> None:
        """Keep none any more. Raises `ConfigError`."""
        ...


class TokenFile:
    """`KeptToken` in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        with self._named("read"), suppress(FileNotFoundError):
            return self._path.read_text("utf-8", errors="replace").strip()
        return ""

    def keep(self, token: str) -> bool:
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with self._named("written"):
            draft.unlink(missing_ok=True)
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(f"{token}\n")
                    file.flush()
                    os.fsync(descriptor)  # the database is about to hold its hash for good
                self._path.hardlink_to(draft)  # refused where there is one, unlike a rename
            except FileExistsError:
                return False
            finally:
                draft.unlink(missing_ok=True)
        return True

    def drop(self) -> None:
        with self._named("removed"):
            self._path.unlink(missing_ok=True)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(
                f"the operator's token in {self._path} cannot be {what}: {error.strerror}"
            ) from error
