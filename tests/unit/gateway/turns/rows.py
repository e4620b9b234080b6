"""Rows of inputs as the store would give them."""

from __future__ import annotations

import orjson

from agents.base import messages
from agents.base.messages import UserMessage
from channels.base.messages import SourceClass
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from gateway.store.base.conversations import PutContent
from gateway.store.base.inputs import AcceptInput, InputRow

SESSION = "agent:main:main"


def body(text: str) -> str:
    """The stored form of what a person said."""
    return orjson.dumps(messages.to_json(UserMessage((Text(text),)))).decode()


def row(
    number: int = 1,
    text: str = "hi",
    *,
    route: RouteKey = RouteKey("memory", peer="ann"),  # noqa: B008  # frozen
    source: SourceClass = SourceClass.PERSON,
    barrier: bool = False,
    state: str = "queued",
    principal: str = "local",
) -> InputRow:
    """The input `t_<number>`; `_replace` changes what is not a parameter."""
    return InputRow(
        ordinal=number,
        turn_id=f"t_{number}",
        session_key=SESSION,
        agent_id="main",
        channel=route.channel,
        account=route.account,
        external_id="",
        principal=principal,
        route_key=str(route),
        agent_override="",
        source=source.value,
        barrier=int(barrier),
        destination=str(route.destination()),
        content_id=f"said_{number}",
        explanation="default",
        state=state,
        detail="",
        merged_into="",
        accepted_at=1,
        expires_at=0,
        ended_at=None,
        body=body(text),
    )


def accepting(given: InputRow) -> tuple[PutContent, AcceptInput]:
    """What intake wrote for this row."""
    same = {name: value for name, value in given._asdict().items() if name in AcceptInput._fields}
    put = PutContent(given.content_id, given.session_key, given.body or "null")
    return put, AcceptInput(**same, at=1, mailbox=20)
