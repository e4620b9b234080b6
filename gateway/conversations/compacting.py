"""How much of a model's window a session takes, and summarising it on request.

The summary is a turn of its own in the lane of the session: recorded, paid once, whichever process
ends it; what is said meanwhile waits its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from agents.base import messages, size, summaries
from agents.base.messages import Messages, SummaryMessage, UserMessage
from gateway.conversations.addressing import CHANNEL
from gateway.conversations.asking import Asking, Resting, TurnProgress
from gateway.conversations.changes import UNDER_WAY
from gateway.conversations.ownership import Ownership
from gateway.core.errors import Bug, Conflict, ModelFailed, TurngateError, by_kind
from gateway.core.keys import RouteKey
from gateway.core.parts import text_of
from gateway.identity.principal import Principal
from gateway.store.base.conversations import EntryRow, LoadTranscript
from gateway.store.base.store import Store


class Compacted(NamedTuple):
    """What was summarised: `messages` of a session, whose size in tokens was and is estimated.

    While the turn has not ended, `messages` is 0.
    """

    turn: TurnProgress
    messages: int
    tokens: int
    left: int


class ContextUse(NamedTuple):
    """What models see of a session: how many messages, characters, and tokens by estimate."""

    session_key: str
    agent_id: str
    messages: int
    characters: int
    used: int


@dataclass(frozen=True, slots=True)
class Compacting:
    """See the module. Raises `NotFound` for a session that is not the principal's."""

    store: Store
    ownership: Ownership
    asking: Asking

    async def compact(
        self,
        principal: Principal,
        session_key: str,
        *,
        wait_ms: int,
        resting: Resting = nullcontext,
    ) -> Compacted:
        """Summarise all but the newest messages; the originals stay readable.

        Raises `Conflict` while a turn has not ended or when the summary was stopped, and the error
        that the turn ended with.
        """
        row = await self.ownership.session(principal, session_key)
        route = RouteKey(CHANNEL, peer=principal.name)
        try:
            turn_id = await self.asking.intake.summarise(row, route, principal.name)
        except Conflict as error:
            raise Conflict(UNDER_WAY) from error
        turn = await self.asking.wait(principal, turn_id, wait_ms=wait_ms, resting=resting)
        if turn.state == "cancelled":
            raise Conflict("the summary was stopped before it was made; nothing has changed")
        if turn.ended is not None and turn.state == "failed":
            raise _failure(turn.ended.kind, turn.ended.text or "")
        entries = await self.store.read(LoadTranscript(session_key))
        # The summary is the only entry of its turn; what was said since is after it.
        place = next((n for n, row in enumerate(entries) if row.turn_id == turn_id), len(entries))
        before, after = entries[:place], entries[: place + 1]
        summary = said_in(after)[-1] if len(after) > len(before) else None
        stands_for = 0
        if isinstance(summary, SummaryMessage):
            stands_for = summaries.counted(said_in(before)) - summary.keeps
        return Compacted(turn, stands_for, _tokens(before), _tokens(after))

    async def context(self, principal: Principal, session_key: str) -> ContextUse:
        """How much of the model's window a session takes, by estimate."""
        row = await self.ownership.session(principal, session_key)
        entries = await self.store.read(LoadTranscript(session_key))
        shown = seen(entries)
        texts = [text_of(m.parts) if isinstance(m, UserMessage) else m.text for m in shown]
        return ContextUse(
            session_key, row.agent_id, len(shown), sum(map(len, texts)), _tokens(entries)
        )


def said_in(entries: Sequence[EntryRow]) -> Messages:
    """What was said, and the summaries of it; what was blanked is left out."""
    return tuple(messages.from_json(orjson.loads(row.body)) for row in entries if row.body)


def seen(entries: Sequence[EntryRow]) -> Messages:
    """The session as models see it: the last summary, whichever it was made for, counts."""
    return summaries.view(said_in(entries), summaries.SMALLEST)


def _tokens(entries: Sequence[EntryRow]) -> int:
    return sum(map(size.of_message, seen(entries)))


def _failure(kind: str, said: str) -> TurngateError:
    """The end of a turn as an error; a kind that is none of ours is a model's category."""
    cls = by_kind(kind)
    return ModelFailed("server", said) if cls in (Bug, ModelFailed) else cls(said)
