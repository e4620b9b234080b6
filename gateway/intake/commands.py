"""The port of intake to slash commands: which messages are one, and the answer to those that
wait for nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from channels.base.messages import Inbound
from gateway.store.base.catalog import Op
from gateway.store.base.inputs import AcceptInput
from gateway.store.base.store import NewEvent


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way in. `body` is what its content row holds.

    `immediate`: it is answered in the unit that accepts it, ahead of all that waits in its session.
    """

    body: str
    immediate: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """The end of an immediate command; `after` is called once it is durable."""

    ops: tuple[Op, ...]
    events: tuple[NewEvent, ...]
    after: Callable[[], None]


class Commands(Protocol):
    """Slash commands, as intake sees them."""

    def read(self, message: Inbound) -> tuple[Inbound, Order | None]:
        """The message, without the slash that marks text as text, and the command in it."""
        ...

    async def answer(self, order: Order, accepting: AcceptInput) -> Answered:
        """Carry out an immediate command. Refusals are answers: raises only what a store raises."""
        ...


class NoCommands:
    """Every message is text: a gateway without commands."""

    def read(self, message: Inbound) -> tuple[Inbound, Order | None]:
        return message, None

    async def answer(self, order: Order, accepting: AcceptInput) -> Answered:
        raise NotImplementedError(f"{order} was not read here")
