"""The end of a turn as one unit: transcript, outbox, events, input states and the run's end.

Only this module writes these together; a reader of one after the commit finds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import orjson

from agents.base import messages
from agents.base.effects import TurnResult
from agents.base.messages import AssistantMessage, Message, UserMessage
from agents.base.summaries import WANTED
from gateway.core.clock import Clock
from gateway.core.ids import ContentId, Ids, TurnId
from gateway.core.keys import parse_destination
from gateway.delivery.outbox import Outbox
from gateway.delivery.planning import Answer
from gateway.events.kinds import Kind
from gateway.runs.task import Finish
from gateway.sessions.commanded import commanded
from gateway.sessions.live import Session
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import AppendEntry, PutContent, TouchSession
from gateway.store.base.inputs import EndInput, InputRow
from gateway.store.base.store import NewEvent

WORTH_REPEATING = frozenset(
    {
        "rate",
        "quota",
        "auth",
        "overloaded",
        "server",
        "timeout",
        "truncated",
        "not_found",
        "budget_spent",
    }
)
"""Failures that say nothing about what was said: it stays in the transcript and is answered with
the next message. After any other it would make the next call fail as well."""
STOPPED = "[stopped]"
"""Ends a partial answer the sender gets, and stands for one that has no words yet."""

_KINDS = {
    "answered": Kind.TURN_COMPLETED,
    "failed": Kind.TURN_FAILED,
    "cancelled": Kind.TURN_CANCELLED,
}
_STATUS: dict[str, Literal["completed", "failed", "cancelled"]] = {
    "answered": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


class Boundary:
    """Builds the ends of turns."""

    def __init__(self, *, clock: Clock, ids: Ids, outbox: Outbox) -> None:
        self._clock = clock
        self._ids = ids
        self._outbox = outbox

    def build(
        self,
        inputs: Sequence[InputRow],
        session: Session,
        result: TurnResult,
        *,
        quarantined: bool = False,
        beside: Sequence[Op] = (),
    ) -> Finish:
        """The end of the turn that answers `inputs`, whose first names it.

        `beside` is what a command changes; it is written with the rest, or not at all.
        """
        lead = inputs[0]
        turn_id = TurnId(lead.turn_id)
        now = self._clock.now_ms()
        ops: list[Op] = [*beside]
        kept = result.state != "failed" or result.kind in WORTH_REPEATING
        said = [(row, message) for row in inputs if (message := _said(row)) is not None]
        entries = [row.content_id for row, _ in said if kept]
        entries += [
            self._keep(session.key, messages.to_json(new), ops) for new in result.messages if kept
        ]
        for position, content in enumerate(entries, start=session.revision):
            ops.append(AppendEntry(session.key, position, turn_id, content, now))
        text = _visible(result)
        last = result.messages[-1] if result.messages else None
        if kept and isinstance(last, AssistantMessage) and last.text == text:
            shown = ContentId(entries[-1])
        else:
            # What only the sender is told, such as a failure's sentence, is not in the transcript.
            shown = self._keep(session.key, {"text": text}, ops)
        planned = self._outbox.plan(
            Answer(turn_id, session.key, parse_destination(lead.destination), text, shown, now)
        )
        ops.extend(planned.ops)
        ops.append(EndInput(turn_id, result.state, result.kind, now))
        ops.append(TouchSession(session.key, lead.agent_id, lead.principal, now))
        data = {"delivery_key": planned.key}
        if result.kind:
            data["kind"] = result.kind
        event = NewEvent(
            now,
            _KINDS[result.state],
            session.key,
            lead.agent_id,
            turn_id,
            orjson.dumps(data).decode(),
            shown,
        )

        def after() -> None:
            self._outbox.wake(planned.deliveries)
            if kept:
                session.extend((*(message for _, message in said), *result.messages))

        return Finish(
            "quarantined" if quarantined else _STATUS[result.state],
            error=result.kind,
            ops=tuple(ops),
            events=(event,),
            after=after,
        )

    def _keep(self, session_key: str, body: dict[str, Any], ops: list[Op]) -> ContentId:
        content = ContentId(self._ids.new("c"))
        ops.append(PutContent(content, session_key, orjson.dumps(body).decode()))
        return content


def _visible(result: TurnResult) -> str:
    """What the sender gets to read; an answer that was cut does not look like a whole one."""
    if result.state != "cancelled":
        return result.text
    return f"{result.text.rstrip()}\n\n{STOPPED}".lstrip()


def _said(row: InputRow) -> Message | None:
    """What an input adds to the transcript; of a deleted one, its place, of a command nothing."""
    if row.body is None:
        return UserMessage(())
    if row.barrier and commanded(row.body) is not None:
        return None
    message = messages.from_json(orjson.loads(row.body))
    return None if message == WANTED else message
