"""How much of what peers send is looked at in one pass of the loop, and whose turn it is.

Reading is cheap for one peer and dear for five hundred: input that arrives together would be
handled in one go, while an operator's request waits behind all of it. So a pass handles a bounded
number of pieces; what is left waits in a line of its owner, a credential or the strangers together,
and the lines take turns. Operators pass by. A peer alone has all of it.

Of the strangers the latest comes first: in a crowd of connections that have not authenticated yet,
those that came earlier have mostly given up, and one of an operator is not behind them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial

A_PASS = 8
"""Pieces looked at in a pass: a message, or a slice of bytes. One takes 50 to 500 µs, and an
operator's call over a new connection is answered within some fifteen passes. With 4 the passes
themselves took so much that half of the turns were lost at five times the load a gateway can do."""
HTTP_COST = 8
"""Pieces that a portion of HTTP counts as: a request goes through more layers than a message."""

Piece = Callable[[], None]


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _call_soon(piece: Piece) -> object:
    return asyncio.get_running_loop().call_soon(piece)


class Pace:
    """All pieces of one server. Not thread-safe: it belongs to the loop."""

    def __init__(
        self, call_soon: Callable[[Piece], object] = _call_soon, *, a_pass: int = A_PASS
    ) -> None:
        self._call_soon = call_soon
        self._a_pass = a_pass
        self._left = a_pass
        self._passing = False
        self._lines: OrderedDict[str, deque[tuple[Piece, int]]] = OrderedDict()

    def crowds(self, owner: str) -> bool:
        """Whether somebody else waits, so that what this owner takes is missing elsewhere."""
        return len(self._lines) > (owner in self._lines)

    def now(self, owner: str, cost: int = 1) -> bool:
        """Whether a piece may be handled at once; then it counts as handled."""
        if self._left <= 0 or owner in self._lines:
            return False
        self._left -= cost
        self._begin()
        return True

    def later(self, owner: str, piece: Piece, cost: int = 1) -> None:
        """Handle a piece when it is the owner's turn, behind what waits for it already."""
        self._lines.setdefault(owner, deque()).append((piece, cost))
        self._begin()

    async def turn(self, owner: str) -> None:
        """Return when it is the owner's turn; cancelled, the turn goes to the next."""
        if self.now(owner):
            return
        turn = asyncio.get_running_loop().create_future()
        self.later(owner, partial(_give, turn))
        await turn

    def _begin(self) -> None:
        if not self._passing:
            self._passing = True
            self._call_soon(self._next)

    def _next(self) -> None:
        """A pass has ended: hand out the next one, one piece a line and round."""
        self._passing = False
        self._left = self._a_pass
        try:
            while self._lines and self._left > 0:
                owner, line = next(iter(self._lines.items()))
                piece, cost = line.popleft() if owner else line.pop()
                self._lines.move_to_end(owner)
                if not line:
                    del self._lines[owner]
                self._left -= cost
                piece()
        finally:  # a piece that fails is no end of the others
            if self._lines:
                self._begin()
