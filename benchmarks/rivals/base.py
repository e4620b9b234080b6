"""What a comparison needs of a gateway: to install it, to start it, to chat with it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

TOKEN = secrets.token_urlsafe(32)
"""Of every gateway of this run."""


class NoAnswer(Exception):
    """The gateway ended a turn without an answer; the message is what it said instead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one instance lives, and what it talks to."""

    home: Path
    """Everything it writes; a start in a home that was there goes on with it."""
    port: int
    """Free on loopback, and so is the next one."""
    model: str
    """Base URL of the model server."""
    keys: tuple[str, ...]
    """For that server; with two, the second is for when the first is refused."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start it."""

    words: tuple[str, ...]
    environment: dict[str, str]
    """All of it, but for `PATH`."""


class Client(Protocol):
    """One connection, any number of chats at once. A lost connection raises `OSError` or
    `websockets.ConnectionClosed` in all of them."""

    async def say(
        self, chat: str, text: str, acknowledged: Callable[[], None] = lambda: None
    ) -> str:
        """The whole answer, followed while it streams. `acknowledged` is called when the gateway
        says that it has the message. Raises `NoAnswer`."""
        ...

    async def answers(self, chats: Sequence[str]) -> list[str]:
        """What the assistant says in the transcripts of these chats, as the gateway keeps them."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Gateway(Protocol):
    """One of those compared."""

    @property
    def name(self) -> str:
        """As in `--only`."""
        ...

    @property
    def version(self) -> str:
        """What is installed, exactly."""
        ...

    @property
    def changed(self) -> str:
        """Settings that differ from its defaults, with the reason."""
        ...

    def install(self, cache: Path) -> None:
        """Into a folder below `cache`, unless it is there; needs the network the first time.

        Raises `subprocess.CalledProcessError`.
        """
        ...

    def launch(self, place: Place) -> Launch:
        """Write its configuration into the home, and say how to start it."""
        ...

    async def connect(self, place: Place) -> Client:
        """A client, once it is ready by its own account; until then `OSError`."""
        ...
