"""What writers that group units have in common: which go together, what each is told afterwards.

Pure; how a batch reaches a database is each writer's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway.core.errors import Conflict, InvalidInput, StoreUnavailable, TurngateError
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import PutContent
from gateway.store.base.events import EventRow
from gateway.store.base.store import Committed, NewEvent
from gateway.store.grouped import Submitted

Words = dict[str, str | None]
"""Contents by id."""


def next_batch(queue: deque[Submitted], most: int) -> list[Submitted]:
    """Take out what goes into one transaction, up to so many operations."""
    batch: list[Submitted] = []
    operations = 0
    while queue and operations < most:
        item = queue.popleft()
        operations += len(item.unit.ops) + 1
        batch.append(item)
    return batch


def words_written(items: Sequence[Submitted], new: Sequence[NewEvent]) -> tuple[Words, set[str]]:
    """The words of new events, so that a listener is told what a reader would see.

    Those that the units themselves write, and the ids of the others.
    """
    words: Words = {
        op.content_id: op.body
        for item in items
        for op in item.unit.ops
        if isinstance(op, PutContent)
    }
    return words, {event.content_id for event in new} - words.keys() - {""}


def numbered(head: int, new: Sequence[NewEvent], words: Words) -> Committed:
    """New events with their numbers, of which `head` is the last."""
    first = head - len(new) + 1
    events = tuple(
        EventRow._make((seq, *event, words.get(event.content_id)))
        for seq, event in enumerate(new, start=first)
    )
    return Committed(first - 1, events)


def refusal(error: Exception, *, foreign: bool) -> TurngateError:
    """What a unit is refused with; `foreign`: it names a row that is not there."""
    if isinstance(error, TurngateError):
        return error
    if foreign:
        refused: TurngateError = Conflict(f"the store refused a row: {error}")
    else:
        refused = InvalidInput(f"the store cannot keep a value: {error}")
    refused.__cause__ = error
    return refused


def unavailable(error: Exception) -> StoreUnavailable:
    """One for each who waits: a traceback is attached to the one that is raised."""
    if isinstance(error, StoreUnavailable):
        refused = StoreUnavailable(str(error), retry_after_ms=error.retry_after_ms)
    else:
        refused = StoreUnavailable(f"the store did not take the write: {error}")
    refused.__cause__ = error
    return refused


def said(error: type[TurngateError], op: Op) -> str:
    """The sentence of a refusal: what it is about, the error's own summary, which operation."""
    name = type(op).__name__
    what = next(iter(op), "")
    summary = (error.__doc__ or "").split("\n")[0].rstrip(".")
    return f"{what}: {summary[:1].lower()}{summary[1:]} ({name})"


def check_event(event: NewEvent) -> None:
    """Raises what binding it would raise: events are bound after their unit can be refused."""
    "".join(event[1:]).encode()
    event.at.to_bytes(8, signed=True)
