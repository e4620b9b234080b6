"""Sessions taken back by some turns, or copied up to one and gone on with elsewhere.

Both cut between turns, never within one: a turn's messages belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.conversations.changes import Change, Changes
from gateway.conversations.lifecycle import Beginnings, Fresh
from gateway.conversations.ownership import Ownership
from gateway.core.errors import InvalidInput, NotFound
from gateway.core.ids import Ids
from gateway.identity.principal import Principal
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import (
    AppendEntry,
    CutTranscript,
    EntryRow,
    LoadTranscript,
    PutContent,
)
from gateway.store.base.store import Store

MAX_COPIED = 2000
"""Maximum messages copied by one write: others wait for it no longer than for a turn's end."""


class Rewound(NamedTuple):
    """What a session lost, in turns and messages, and how many messages are left."""

    turns: int
    removed: int
    remaining: int


class Forked(NamedTuple):
    """The copy, and how many messages it begins with."""

    fresh: Fresh
    entries: int


@dataclass(frozen=True, slots=True)
class Branching:
    """See the module. Raises `NotFound` for a session that is not the principal's."""

    store: Store
    ids: Ids
    changes: Changes
    ownership: Ownership
    beginnings: Beginnings

    async def rewind(self, principal: Principal, session_key: str, count: int) -> Rewound:
        """Take the last `count` turns back; raises `Conflict` while a turn has not ended."""
        await self.ownership.session(principal, session_key)
        return await self.changes.run_to_completion("rewind", self._rewind(session_key, count))

    async def fork(
        self, principal: Principal, session_key: str, *, turn_id: str = "", label: str = ""
    ) -> Forked:
        """Copy a session, up to the end of a turn if given; both go on by themselves.

        Raises `NotFound` (no such turn), `InvalidInput` (too long), and what a new session raises.
        """
        row = await self.ownership.session(principal, session_key)
        taken = _through(await self.store.read(LoadTranscript(session_key)), turn_id)
        fresh = await self.beginnings.choose(principal, row.agent_id)
        copy = copied(taken, fresh.session_key, fresh.at, self.ids)
        await self.changes.commit(*self.beginnings.ops(fresh, principal, label), *copy)
        return Forked(fresh, len(taken))

    async def undone(self, principal: Principal, session_key: str, count: int) -> Change[Rewound]:
        """`rewind`, for the unit of a turn of the session: of one that says nothing itself."""
        await self.ownership.session(principal, session_key)
        return _cut(await self.store.read(LoadTranscript(session_key)), session_key, count)

    async def _rewind(self, key: str, count: int) -> Rewound:
        change = _cut(await self.store.read(LoadTranscript(key)), key, count)
        if not change.ops:
            return change.result
        receipt = await self.changes.when_idle(key, *change.ops)
        return change.result._replace(removed=receipt.touched[1])


def copied(entries: Sequence[EntryRow], to: str, at: int, ids: Ids) -> list[Op]:
    """The writes that copy entries into an empty transcript; what was blanked is left out.

    The copy has words of its own: deleting the one leaves the other alone. Raises `InvalidInput`
    for more than `MAX_COPIED`.
    """
    taken = [entry for entry in entries if entry.body is not None]
    if len(taken) > MAX_COPIED:
        raise InvalidInput(
            f"the part has {len(taken)} messages, at most {MAX_COPIED} are copied; take an earlier "
            "part, or summarise it first"
        )
    ops: list[Op] = []
    for position, entry in enumerate(taken):
        content = ids.new("c")
        ops.append(PutContent(content, to, entry.body or ""))
        ops.append(AppendEntry(to, position, entry.turn_id, content, at))
    return ops


def _cut(entries: Sequence[EntryRow], key: str, count: int) -> Change[Rewound]:
    """Taking back the last turns that said something."""
    turns = list(dict.fromkeys(entry.turn_id for entry in entries))
    gone = set(turns[-count:])
    kept = [entry for entry in entries if entry.turn_id not in gone]
    result = Rewound(len(gone), len(entries) - len(kept), len(kept))
    if not result.removed:
        return Change((), result)
    position = next(entry.position for entry in entries if entry.turn_id in gone)
    # A turn that has ended since makes this a conflict: its entries would go unseen.
    return Change((CutTranscript(key, position, entries[-1].position + 1),), result)


def _through(entries: Sequence[EntryRow], turn_id: str) -> list[EntryRow]:
    """The entries up to the end of a turn, those that were blanked left out."""
    if turn_id:
        places = [place for place, entry in enumerate(entries) if entry.turn_id == turn_id]
        if not places:
            raise NotFound(f"the conversation has no turn {turn_id!r}")
        entries = entries[: places[-1] + 1]
    return [entry for entry in entries if entry.body is not None]
