"""The end of a turn as one unit: transcript, outbox, events, input states and the run's end.

Nobody else writes these together; whoever reads one of them after the commit finds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson

from agents.base import messages
from agents.base.effects import TurnResult
from agents.base.messages import AssistantMessage, Message, UserMessage
from gateway.core.clock import Clock
from gateway.core.ids import ContentId, Ids, TurnId
from gateway.core.keys import parse_destination
from gateway.delivery.outbox import Outbox
from gateway.events.kinds import Kind
from gateway.runs.task import Finish
from gateway.sessions.live import Session
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import AppendEntry, PutContent, TouchSession
from gateway.store.base.inputs import EndInput, InputRow
from gateway.store.base.store import NewEvent

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
    ) -> Finish:
        """The end of the turn that answers `inputs`, whose first names it."""
        lead = inputs[0]
        now = self._clock.now_ms()
        turn_id = TurnId(lead.turn_id)
        ops: list[Op] = []
        said = [_said(row) for row in inputs]
        position = session.revision
        for row in inputs:
            ops.append(AppendEntry(session.key, position, turn_id, row.content_id, now))
            position += 1
        shown = ""
        for message in result.messages:
            content = self._keep(session.key, message, ops)
            ops.append(AppendEntry(session.key, position, turn_id, content, now))
            position += 1
            if isinstance(message, AssistantMessage) and message.text == result.text:
                shown = content
        if result.text and not shown:
            # A failure's sentence is for the person, not for the transcript.
            shown = ContentId(self._ids.new("c"))
            body = orjson.dumps({"text": result.text}).decode()
            ops.append(PutContent(shown, session.key, body))
        planned = self._outbox.plan(
            turn_id=turn_id,
            session_key=session.key,
            destination=parse_destination(lead.destination),
            text=result.text,
            content_id=ContentId(shown),
            now=now,
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
        new: tuple[Message, ...] = (*said, *result.messages)

        def after() -> None:
            session.extend(new)
            if planned.key:
                self._outbox.wake(turn_id)

        return Finish(
            "quarantined" if quarantined else _STATUS[result.state],
            error=result.kind,
            ops=tuple(ops),
            events=(event,),
            after=after,
        )

    def _keep(self, session_key: str, message: Message, ops: list[Op]) -> ContentId:
        content = ContentId(self._ids.new("c"))
        body = orjson.dumps(messages.to_json(message)).decode()
        ops.append(PutContent(content, session_key, body))
        return content


def _said(row: InputRow) -> Message:
    """What an input adds to the transcript; a deleted one says so."""
    if row.body is None:
        return UserMessage(())
    return messages.from_json(orjson.loads(row.body))
