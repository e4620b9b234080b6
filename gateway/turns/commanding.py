"""Commands as turns: each has its place in the order of its session, and asks no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agents.base.effects import TurnResult
from gateway.core.errors import Bug
from gateway.runs.task import Finish
from gateway.sessions.commanded import Commanded, commanded
from gateway.sessions.live import LiveSessions
from gateway.store.base.catalog import Op
from gateway.store.base.inputs import InputRow
from gateway.turns.boundary import Boundary

__all__ = ["Commanding", "Commands", "Reply", "commanded"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command answers and changes.

    `ops` become durable together with the answer and the end of the turn, so a command that was
    cut is carried out once. `kind` is the stable word of a refusal, empty where it was carried out.
    """

    text: str
    ops: tuple[Op, ...] = ()
    kind: str = ""
    after: Callable[[], None] | None = None


class Commands(Protocol):
    """Slash commands, as turns see them."""

    async def run(self, commanded: Commanded, row: InputRow) -> Reply:
        """Carry it out, up to what is written at the end. May be called again after a crash.

        Refusals are answers; raises what a store raises.
        """
        ...


class Commanding:
    """Ends the turns that are commands; until `obey` there are none."""

    def __init__(self, sessions: LiveSessions, boundary: Boundary) -> None:
        self._sessions = sessions
        self._boundary = boundary
        self._commands: Commands | None = None

    def obey(self, commands: Commands) -> None:
        """Who carries out what sessions have waiting."""
        self._commands = commands

    async def end(self, command: Commanded, inputs: Sequence[InputRow]) -> Finish:
        """Carry a command out; what it changes is written by the end of its turn."""
        if self._commands is None:
            raise Bug("a command was accepted where none is carried out")
        lead = inputs[0]
        reply = await self._commands.run(command, lead)
        result = TurnResult("failed" if reply.kind else "answered", reply.text, kind=reply.kind)
        async with self._sessions.using(lead.session_key) as session:
            finish = self._boundary.build(inputs, session, result, beside=reply.ops)

        def after() -> None:
            if finish.after is not None:
                finish.after()
            if reply.ops:  # what was said is not what it was
                self._sessions.forget(lead.session_key)
            if reply.after is not None:
                reply.after()

        return replace(finish, after=after)
