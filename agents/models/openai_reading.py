"""Reading an answer while it arrives: from pieces of a body to text that is passed on.

Part of the OpenAI client, without the SDK. An answer that is whole ends it, whatever becomes of the
connection then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import nullcontext

import httpx2

from agents.base.models import ModelContext
from agents.models.openai_answer import Answer, UpstreamError
from agents.models.openai_events import Event, EventReader, NotAnEvent
from gateway.core.errors import ModelFailed

LINGER_S = 2.0
"""Wait behind a whole answer for what it cost, which some servers send a moment later."""
DRAIN_S = 0.1
"""Wait for the end of the body behind the event that says so; then the connection is reused."""


async def read_answer(pieces: AsyncIterator[bytes], answer: Answer, context: ModelContext) -> None:
    """Feed `answer` until it is whole or the body ends.

    Raises `httpx2.TransportError` when the connection breaks inside the answer; `UpstreamError`,
    `ModelFailed` and `NotAnEvent` for what is none.
    """
    reader = EventReader()
    data = b" "
    while data:
        wait_s = DRAIN_S if reader.done else LINGER_S if answer.ended else None
        try:
            async with nullcontext() if wait_s is None else context.clock.timeout(wait_s):
                data = await anext(pieces, b"")
            _feed(reader.feed(data) if data else reader.finish(), answer, context)
        except (TimeoutError, httpx2.TransportError, NotAnEvent, ModelFailed, UpstreamError):
            if not (answer.ended or reader.done):
                raise
            break  # nothing that counts could follow
    _pass_on(answer.finish(), context)


def _feed(events: Iterable[Event], answer: Answer, context: ModelContext) -> None:
    for event in events:
        misled = answer.misled
        text = answer.feed(event.value, event.name)
        if answer.misled and not misled:
            context.restarted()
        _pass_on(text, context)


def _pass_on(text: str, context: ModelContext) -> None:
    if text:
        context.emit(text)
