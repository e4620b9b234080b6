"""Text on its way: pieces of an answer that is not durable yet.

Previews are shown, never stored here and never waited for. A listener that throws is a bug of the
listener, and no concern of the turn that speaks or of other listeners; one that is slow must drop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from gateway.core.ids import TurnId

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Preview:
    """A piece of text at `offset` characters of one attempt of one step.

    A higher `attempt` of the same step means: discard what was shown of the lower ones. It is
    announced at once, as `restarted` and without text.
    """

    turn_id: TurnId
    session_key: str
    step: str
    attempt: int
    offset: int
    text: str
    restarted: bool = False
    place: int | None = None
    """A place in the line of the model server, 0 when the wait is over; such a piece has no text.
    """


PreviewListener = Callable[[Preview], None]


class Previews:
    """Hands pieces to whoever listens, on the loop."""

    def __init__(self) -> None:
        self._listeners: dict[object, PreviewListener] = {}
        self.pass_on: PreviewListener | None = None
        """Where a piece said here goes besides: to other processes."""

    def listen(self, listener: PreviewListener) -> Callable[[], None]:
        """Call `listener` with every piece from now on; the result ends that, once or again."""
        key = object()  # listening twice with one function is ended one at a time
        self._listeners[key] = listener

        def end() -> None:
            self._listeners.pop(key, None)

        return end

    def publish(self, preview: Preview) -> None:
        """Hand out a piece that is said here."""
        self.show(preview)
        if self.pass_on is not None:
            self.pass_on(preview)

    def show(self, preview: Preview) -> None:
        """Hand out a piece to who listens here."""
        for listener in tuple(self._listeners.values()):
            try:
                listener(preview)
            except Exception:  # a boundary: who watches must not harm what is watched
                log.exception("preview.listener_failed", turn_id=preview.turn_id)
