"""How much of a model's window a conversation takes, and making that less when somebody asks.

The summary is a turn of its own in the lane of the conversation: recorded, paid once, whichever
process ends it; what is said meanwhile waits its turn.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.base import size, summaries
from agents.base.messages import SummaryMessage, UserMessage
from gateway.core.errors import (
    BudgetSpent,
    Bug,
    Busy,
    Conflict,
    ModelFailed,
    NotFound,
    TurngateError,
    UnknownAgent,
    by_kind,
)
from gateway.core.keys import RouteKey
from gateway.core.parts import text_of
from gateway.identity.principal import Scope
from gateway.rpc import speaking
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.rpc.methods import turns
from gateway.rpc.methods.upkeep import UNDER_WAY
from gateway.rpc.transcripts import said_in, seen
from gateway.store.base.conversations import EntryRow, LoadTranscript
from gateway.wire.methods import sessions as wire
from gateway.wire.methods.turns import WaitTurn


async def compact(call: Call, params: wire.CompactSession) -> wire.SessionCompacted:
    """Summarise all but the newest messages of a conversation; the originals stay readable."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    route = RouteKey(speaking.CHANNEL, peer=call.principal.name)
    try:
        turn_id = await call.gateway.intake.summarise(row, route, call.principal.name)
    except Conflict as error:
        raise Conflict(UNDER_WAY) from error
    answer = await turns.wait(call, WaitTurn(turn_id=turn_id, wait_ms=params.wait_ms))
    if answer.state == "cancelled":
        raise Conflict("the summary was stopped before it was made; nothing has changed")
    if answer.state == "failed":
        raise _failure(answer.kind, answer.reply or "")
    entries = await call.gateway.store.read(LoadTranscript(row.session_key))
    # The summary is the only entry of its turn; what was said since is after it.
    place = next((n for n, entry in enumerate(entries) if entry.turn_id == turn_id), len(entries))
    before, after = entries[:place], entries[: place + 1]
    summary = said_in(after)[-1] if len(after) > len(before) else None
    stands_for = 0
    if isinstance(summary, SummaryMessage):
        stands_for = summaries.counted(said_in(before)) - summary.keeps
    return wire.SessionCompacted(
        session_key=row.session_key,
        turn_id=turn_id,
        state=answer.state,
        messages=stands_for,
        tokens=_tokens(before),
        left=_tokens(after),
    )


async def context(call: Call, params: wire.OneSession) -> wire.ContextUse:
    """How much of the model's window a conversation takes, by estimate."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    entries = await call.gateway.store.read(LoadTranscript(row.session_key))
    shown = seen(entries)
    texts = [text_of(m.parts) if isinstance(m, UserMessage) else m.text for m in shown]
    return wire.ContextUse(
        session_key=row.session_key,
        agent_id=row.agent_id,
        messages=len(shown),
        characters=sum(map(len, texts)),
        used=_tokens(entries),
        total=None,
    )


def _tokens(entries: Sequence[EntryRow]) -> int:
    return sum(map(size.of_message, seen(entries)))


def _failure(kind: str, said: str) -> TurngateError:
    """The end of a turn as an error; a kind that is none of ours is a model's category."""
    cls = by_kind(kind)
    return ModelFailed("server", said) if cls in (Bug, ModelFailed) else cls(said)


_REFUSALS = (NotFound, Busy, Conflict, UnknownAgent, ModelFailed, BudgetSpent)

COMPACT = Method(
    "sessions.compact",
    Scope.CHAT,
    compact,
    in_batch=False,
    errors=_REFUSALS,
    adds_work=True,
)
CONTEXT = Method("sessions.context", Scope.READ, context, errors=(NotFound,))
