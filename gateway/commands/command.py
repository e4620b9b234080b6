"""What a command is: one record from which help, completion and documentation are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from gateway.core.ids import AgentId, TurnId
from gateway.identity.principal import Principal, Scope
from gateway.running import Gateway
from gateway.turns.commanding import Reply


class Subject(StrEnum):
    """The heading under which help lists a command."""

    CONVERSATION = "Conversation"
    AGENTS = "Agents"
    GATEWAY = "Gateway"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command with its sender: `args` is what stands behind its word, without outer blanks.

    The session is the one in which the words were said, `route` where they came from as text.
    """

    principal: Principal
    session_key: str
    agent_id: AgentId
    route: str
    destination: str
    turn_id: TurnId
    args: str


Handler = Callable[[Gateway, Asked], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the catalogue.

    `args` shows what may stand behind the word: `<needed>`, `[optional]`. `scope` is what the
    sender has to have. `immediate`: answered ahead of all that waits in its session; it reads, or
    asks for what may be asked for twice. `summary`: the turn asks for a summary instead. `twin` is
    the method that does the same for programs, empty where there is none.
    """

    name: str
    args: str
    tells: str
    subject: Subject
    run: Handler
    scope: Scope = Scope.CHAT
    immediate: bool = False
    summary: bool = False
    aliases: tuple[str, ...] = ()
    twin: str = ""

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"/{self.name} {self.args}".rstrip()
