"""A model call that ends where its answer begins to repeat itself.

Watches the text as it streams, because a circle costs a small model all the time up to its output
limit: the request is closed as soon as the circle is plain, and the text before it is the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from agents.base import size
from agents.base.models import (
    REPETITION,
    Emit,
    Model,
    ModelContext,
    ModelReply,
    ModelRequest,
    Usage,
)
from agents.models.repetition import repeats_from


async def complete_without_loop(
    client: Model, request: ModelRequest, context: ModelContext
) -> ModelReply:
    """As `client.complete`; an answer that went round in circles is cut, its text stripped and its
    tokens are our guess. Cancelling closes the upstream request."""
    guard = _Guard(context.emit)
    reply: ModelReply | None = None
    try:
        # A timeout without a deadline: the guard sets one in the past, which cancels this block.
        async with asyncio.timeout(None) as scope:
            guard.stop = lambda: scope.reschedule(asyncio.get_running_loop().time() - 1)
            reply = await client.complete(request, replace(context, emit=guard))
    except TimeoutError:
        if guard.end is None:
            raise
    if reply is None:
        usage = Usage(request.guess, size.of_text(guard.text))
        reply = ModelReply("", usage=usage, model=request.model)
    if guard.end is None:
        return reply
    return replace(reply, text=guard.text[: guard.end].strip(), finish_reason=REPETITION)


class _Guard:
    """An `Emit` that passes text on and calls `stop` once, when the text has become a circle."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.stop: Callable[[], None] = _nothing
        self.text = ""
        self.end: int | None = None

    def __call__(self, text: str) -> None:
        if self.end is not None:
            return  # what still arrives before the request is closed
        self._emit(text)
        self.text += text
        self.end = repeats_from(self.text)
        if self.end is not None:
            self.stop()


def _nothing() -> None:
    """The call has not begun."""
