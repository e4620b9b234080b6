"""Carries commands out: `Commands` of intake and of turns.

What a sender may do is decided by the scopes kept with the command, which are those of the moment
when it was accepted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import structlog

from channels.base.messages import Inbound
from gateway.commands.answering import ended
from gateway.commands.command import Asked, Command
from gateway.commands.parsing import Typed, text_of_command, typed, unescaped
from gateway.core.errors import StoreUnavailable, TurngateError, describe
from gateway.core.ids import AgentId, TurnId
from gateway.core.suggestions import did_you_mean
from gateway.identity.principal import Principal, Scope
from gateway.intake.commands import Answered, Order
from gateway.intake.writing import SUMMARY
from gateway.running import Gateway
from gateway.sessions.commanded import Commanded, commanded
from gateway.store.base.inputs import AcceptInput, InputRow
from gateway.turns.commanding import Reply

log = structlog.get_logger(__name__)


class Desk:
    """See the module."""

    def __init__(self, gateway: Gateway, catalogue: Iterable[Command]) -> None:
        self._gateway = gateway
        self._commands: dict[str, Command] = {}
        for command in catalogue:
            for word in (command.name, *command.aliases):
                self._commands[word] = command

    @property
    def commands(self) -> list[Command]:
        """All there are, each once, in the order of the catalogue."""
        return list(dict.fromkeys(self._commands.values()))

    def read(self, message: Inbound) -> tuple[Inbound, Order | None]:
        """See `gateway.intake.commands.Commands`."""
        text = text_of_command(message.parts)
        said = typed(text) if text else None
        if said is None:
            return replace(message, parts=unescaped(message.parts)), None
        command = self._allowed(said, message.scopes)
        # A refusal waits for nothing.
        immediate = not isinstance(command, Command) or command.immediate
        if isinstance(command, Command) and command.summary:
            return message, Order(SUMMARY, immediate)
        return message, Order(Commanded(text, message.scopes).stored(), immediate)

    async def answer(self, order: Order, accepting: AcceptInput) -> Answered:
        """See `gateway.intake.commands.Commands`."""
        order_kept = commanded(order.body)
        assert order_kept is not None, order
        reply = await self._reply(order_kept, _asked(order_kept, accepting))
        return ended(self._gateway, accepting, reply)

    async def run(self, commanded: Commanded, row: InputRow) -> Reply:
        """See `gateway.turns.commanding.Commands`."""
        return await self._reply(commanded, _asked(commanded, row))

    async def _reply(self, order: Commanded, asked: Asked) -> Reply:
        said = typed(order.text)
        assert said is not None, order
        command = self._allowed(said, order.scopes)
        if not isinstance(command, Command):
            return command
        try:
            return await command.run(self._gateway, replace(asked, args=said.args))
        except StoreUnavailable:
            raise
        except TurngateError as error:
            return Reply(f"{error}.", kind=describe(error).kind)
        except Exception:  # a boundary: a command's bug is an answer, not a lane that stands
            error_id = self._gateway.ids.new("e")
            log.exception("command.bug", word=said.word, error_id=error_id)
            return Reply(f"/{said.word} failed inside (error {error_id}).", kind="internal")

    def _allowed(self, said: Typed, scopes: frozenset[str]) -> Command | Reply:
        """The command, or why it is not carried out."""
        command = self._commands.get(said.word)
        if command is None:
            words = [f"/{each.name}" for each in self.commands if _may(each.scope, scopes)]
            near = did_you_mean(f"/{said.word}", words, count=1, otherwise="/help lists them all")
            hint = f"To say it as text, begin with //{said.word}"
            return Reply(f"There is no command /{said.word}: {near} {hint}.", kind="not_found")
        if not _may(command.scope, scopes):
            needs = f"/{command.name} needs the scope {command.scope.value!r}"
            return Reply(f"{needs}, which you do not have here.", kind="forbidden")
        return command


def _may(scope: Scope, scopes: frozenset[str]) -> bool:
    return scope in scopes or Scope.ADMIN in scopes


def _asked(order: Commanded, row: AcceptInput | InputRow) -> Asked:
    scopes = frozenset(Scope(name) for name in order.scopes if name in set(Scope))
    return Asked(
        Principal(row.principal, scopes, ""),
        row.session_key,
        AgentId(row.agent_id),
        row.route_key,
        row.destination,
        TurnId(row.turn_id),
        "",
    )
