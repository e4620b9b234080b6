"""Marks answers as sent once a client that fetches them itself was first written one.

The row has waited as `available` since the end of its turn. Marking is not waited for: lost with
the process, the row stays available and the client, which resumes by number, sees the same answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.core.clock import Clock
from gateway.store.base.outbox import MarkPulled
from gateway.store.base.store import Durability, Unit

REMEMBERED = 4096
"""Keys already marked, so that a second reader of the same answer costs no write."""


class FetchedAnswers:
    """Which answers have reached a client."""

    def __init__(
        self, post: Callable[[Unit], None], clock: Clock, *, remembered: int = REMEMBERED
    ) -> None:
        self._post = post
        self._clock = clock
        self._most = remembered
        self._marked: OrderedDict[str, None] = OrderedDict()

    def mark_sent(self, key: str) -> None:
        """A client has the answer of this delivery key; of pushed ones nothing changes."""
        if not key or key in self._marked:
            return
        self._marked[key] = None
        while len(self._marked) > self._most:
            self._marked.popitem(last=False)
        op = MarkPulled(key, self._clock.now_ms())
        self._post(Unit((op,), durability=Durability.POSTED))
