"""The fair line in front of one profile: how many requests are sent at a time, and who is next.

Pure. The bound is a setting, or what the server told; below it the line finds one of its own: a
request that timed out in the server's queue, or a limit without a hint, halves it, and answers
raise it again. Without a bound nothing waits. In the line people come before background work;
within both, principals and their sessions take turns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, islice

from gateway.core.fairness import FairQueue

RAISE_AFTER = 10
"""Answers under a full load after which one more request is sent at a time."""
EXACT = 8
"""The first so many always know their exact place. The others hear of it once the line has changed
by one part in so many, so a line of n that empties tells 2 * EXACT * n places, not n * n / 2."""
UNBOUNDED = 64
"""An own bound that has grown to this says nothing any more; it is the client's own maximum."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A request that wants to be sent; `changed` is called when its place changes."""

    path: tuple[str, ...]
    background: bool = False
    place: int = 0
    """How many are sent before it, itself included, as last told; 0 once it may be sent."""
    changed: Callable[[], None] = field(default=lambda: None)


class Line:
    """Requests to one profile: those under way and those that wait."""

    def __init__(self) -> None:
        self.cap = 0
        """The bound of the settings, or the one the server told; 0 for none."""
        self.active = 0
        self._own = 0
        self._answers = 0
        self._pressed_ms = -1
        self._unnumbered = 0
        # People, then background work: in the order they came, and in that they are sent.
        self._waiting: tuple[dict[Ticket, None], dict[Ticket, None]] = ({}, {})
        self._queues: tuple[FairQueue[Ticket], FairQueue[Ticket]] = (FairQueue(), FairQueue())

    @property
    def bound(self) -> int:
        """How many requests may be under way; 0 for any number."""
        return min(self.cap, self._own) if self.cap and self._own else self.cap or self._own

    @property
    def waiting(self) -> int:
        """How many wait to be sent."""
        return len(self._waiting[0]) + len(self._waiting[1])

    @property
    def has_room(self) -> bool:
        """Whether a request that came now would be sent at once."""
        return not self.waiting and (not self.bound or self.active < self.bound)

    def enter(self, ticket: Ticket) -> bool:
        """Take a place; whether the request may be sent at once."""
        if self.has_room:
            self.active += 1
            return True
        self._queues[ticket.background].push(ticket, ticket.path)
        self._waiting[ticket.background][ticket] = None
        ticket.place = self.waiting if ticket.background else len(self._waiting[0])
        ticket.changed()
        self._unnumbered += 1
        self._number()
        return False

    def leave(self, ticket: Ticket) -> None:
        """The request has ended, or is not wanted any more; the next ones may be sent."""
        if ticket in self._waiting[ticket.background]:
            self._queues[ticket.background].remove(ticket, ticket.path)
            self._forget(ticket)
        else:
            self.active -= 1
        self._admit()

    def pressed(self, *, began_ms: int, now_ms: int) -> None:
        """A request sent at `began_ms` timed out in the server's queue, or met a limit without a
        hint: fewer at a time. Failures of one moment count once, and one alone tells nothing."""
        if began_ms <= self._pressed_ms or self.active < 2:
            return
        self._pressed_ms, self._answers = now_ms, 0
        self._own = max(min(self.active, self.bound or self.active) // 2, 1)

    def answered(self) -> None:
        """An answer; many of them under a full load raise the line's own bound."""
        if not self._own or self.active < self._own:
            return
        self._answers += 1
        if self._answers >= RAISE_AFTER:
            self._answers = 0
            self._own += 1
            if self._own >= (self.cap or UNBOUNDED):
                self._own = 0
        self._admit()

    def _admit(self) -> None:
        while self.waiting and (not self.bound or self.active < self.bound):
            ticket = self._queues[0].pop() or self._queues[1].pop()
            assert ticket is not None  # all that wait are in one of both
            self._forget(ticket)
            self.active += 1
            ticket.place = 0
            ticket.changed()
        self._number()

    def _forget(self, ticket: Ticket) -> None:
        del self._waiting[ticket.background][ticket]
        self._unnumbered += 1

    def _number(self) -> None:
        """Places by arrival, people first: what people are told; turns within it may swap two."""
        every = EXACT * self._unnumbered >= self.waiting
        if every:
            self._unnumbered = 0
        order = chain(*self._waiting)
        for place, ticket in enumerate(tuple(order if every else islice(order, EXACT)), 1):
            if ticket.place != place:
                ticket.place = place
                ticket.changed()
