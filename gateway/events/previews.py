"""Text on its way: pieces of an answer that is not durable yet.

Previews are shown, never stored here and never waited for. A listener that throws is a bug of the
listener; one that is slow must drop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.core.ids import TurnId


@dataclass(frozen=True, slots=True)
class Preview:
    """A piece of text at `offset` characters of one attempt of one step.

    A higher `attempt` of the same step means: discard what was shown of the lower one.
    """

    turn_id: TurnId
    session_key: str
    step: str
    attempt: int
    offset: int
    text: str


PreviewListener = Callable[[Preview], None]


class Previews:
    """Hands pieces to whoever listens, on the loop."""

    def __init__(self) -> None:
        self._listeners: list[PreviewListener] = []

    def listen(self, listener: PreviewListener) -> Callable[[], None]:
        """Call `listener` with every piece from now on; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, preview: Preview) -> None:
        """Hand a piece out."""
        for listener in tuple(self._listeners):
            listener(preview)
