"""An answer on its way is written in pieces."""

from __future__ import annotations

from typing import Any, cast

from gateway.core.clock import ManualClock
from gateway.runs.attempts import Attempt
from gateway.runs.context import RunContext
from gateway.turns.live_text import PIECE_CHARS, PIECE_S, LiveText


class Told:
    """The one thing of a context that is used here."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []

    def stream(self, body: Any) -> None:
        self.pieces.append(body)


async def test_pieces_are_written_when_long_or_old_enough_and_at_the_end() -> None:
    """Each says where it stands, so that nothing is shown twice."""
    told, clock = Told(), ManualClock()
    live = LiveText(cast("RunContext", told), Attempt("3", 2, "r1:3"), clock)
    live.add("a" * (PIECE_CHARS - 1))
    assert not told.pieces
    live.add("bc")
    live.add("d")
    await clock.advance(PIECE_S)
    live.add("e")
    live.add("f")
    live.flush()
    live.flush()
    assert [(piece["offset"], piece["text"][-2:]) for piece in told.pieces] == [
        (0, "bc"),
        (PIECE_CHARS + 1, "de"),
        (PIECE_CHARS + 3, "f"),
    ]
    assert {(piece["step"], piece["attempt"]) for piece in told.pieces} == {("3", 2)}
