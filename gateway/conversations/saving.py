"""Conversations put aside, kept under a name, and gone on with: what `/new`, `/save`, `/load` do.

A place has one conversation at a time. What is put aside moves, with its words and its turns, to a
session of its own that no message is routed to; its key names the place it comes from, and
only there is it found. A snapshot is a copy with words of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agents.base.messages import UserMessage
from gateway.conversations.branching import copied
from gateway.conversations.changes import Change
from gateway.conversations.compacting import said_in
from gateway.conversations.ownership import Ownership
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, InvalidInput, NotFound
from gateway.core.ids import AgentId, Ids
from gateway.core.keys import SessionKey, SessionScope
from gateway.core.parts import text_of
from gateway.identity.principal import Principal
from gateway.store.base import conversations as rows
from gateway.store.base.catalog import Op
from gateway.store.base.store import Store

ASIDE = "aside"
"""Channel in the keys of what was put aside."""
SAVED = "saved"
"""Channel in the keys of snapshots."""
LABEL_CHARS = 40
"""How much of the first message names a conversation without a label."""
LISTED = 100
"""Maximum conversations of one place that are listed: the newest."""


class Kept(NamedTuple):
    """A conversation of a place that is not the current one. `snapshot`: it stays when loaded."""

    session_key: str
    label: str
    at: int
    messages: int
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Saving:
    """See the module. Raises `NotFound` for a session that is not the principal's.

    What changes something is returned as a `Change`, for the unit of the caller.
    """

    store: Store
    clock: Clock
    ids: Ids
    ownership: Ownership

    async def kept(self, principal: Principal, session_key: str) -> list[Kept]:
        """What was put aside or saved at the place of a session, newest first."""
        row = await self.ownership.session(principal, session_key)
        found: list[Kept] = []
        for channel in (ASIDE, SAVED):
            key = _key(row.agent_id, channel, session_key, "")
            for kept in await self.store.read(rows.KeptSessions(row.principal, key, LISTED)):
                told = Kept(kept.session_key, kept.label, kept.at, kept.entries, channel == SAVED)
                found.append(told)
        return sorted(found, key=lambda kept: (-kept.at, kept.session_key))

    async def new(self, principal: Principal, session_key: str, label: str) -> Change[str]:
        """Put the conversation aside and begin another; the label of the old one, if it had words.

        Nothing is lost: `load` goes on with it.
        """
        row = await self.ownership.session(principal, session_key)
        entries = await self.store.read(rows.LoadTranscript(session_key))
        aside, ops = self._aside(row, entries)
        return Change((*ops, rows.SetLabel(session_key, label)), aside)

    async def save(self, principal: Principal, session_key: str, label: str) -> Change[int]:
        """Keep a copy under a name, replacing one of that name; how many messages it has.

        Raises `InvalidInput` for a conversation without words, or too long to be copied.
        """
        row = await self.ownership.session(principal, session_key)
        entries = await self.store.read(rows.LoadTranscript(session_key))
        if not entries:
            raise InvalidInput("there is nothing to save yet: the conversation has no messages")
        key, now = self._fresh(row, SAVED), self.clock.now_ms()
        ops: list[Op] = []
        for known in await self.kept(principal, session_key):
            if known.snapshot and known.label == label:
                ops += _dropped(known.session_key)
        ops += [
            rows.TouchSession(key, row.agent_id, row.principal, now),
            rows.SetLabel(key, label),
            *copied(entries, key, now, self.ids),
        ]
        return Change(tuple(ops), len(entries))

    async def load(self, principal: Principal, session_key: str, wanted: str) -> Change[Kept]:
        """Go on with a conversation by the beginning of its label; the current one is put aside.

        Raises `NotFound`, or `Conflict` where several begin so.
        """
        row = await self.ownership.session(principal, session_key)
        chosen = choose(await self.kept(principal, session_key), wanted)
        entries = await self.store.read(rows.LoadTranscript(session_key))
        _, ops = self._aside(row, entries)
        if chosen.snapshot:
            saved = await self.store.read(rows.LoadTranscript(chosen.session_key))
            ops += copied(saved, session_key, self.clock.now_ms(), self.ids)
        else:
            ops += _moved(chosen.session_key, session_key)
            ops.append(rows.DropSession(chosen.session_key))
        ops.append(rows.SetLabel(session_key, chosen.label))
        return Change(tuple(ops), chosen)

    def _aside(
        self, row: rows.SessionRow, entries: Sequence[rows.EntryRow]
    ) -> tuple[str, list[Op]]:
        """The label and the writes of putting a conversation aside; none where nothing was said."""
        if not entries:
            return "", []
        label, key = row.label or _first_words(entries), self._fresh(row, ASIDE)
        return label, [
            rows.TouchSession(key, row.agent_id, row.principal, self.clock.now_ms()),
            rows.SetLabel(key, label),
            *_moved(row.session_key, key),
        ]

    def _fresh(self, row: rows.SessionRow, channel: str) -> str:
        return _key(row.agent_id, channel, row.session_key, self.ids.new("p"))


def choose(kept: Sequence[Kept], wanted: str) -> Kept:
    """The one whose label is `wanted`, or alone begins so; case does not count.

    Raises `NotFound` or `Conflict`, with the labels there are.
    """
    asked = wanted.casefold()
    found = [each for each in kept if each.label.casefold() == asked]
    found = found or [each for each in kept if each.label.casefold().startswith(asked)]
    if not found:
        labels = ", ".join(repr(each.label) for each in kept[:5]) or "none is kept here"
        raise NotFound(f"no conversation begins with {wanted!r}; there are: {labels}")
    if len({each.label for each in found}) > 1:
        labels = ", ".join(repr(each.label) for each in found[:5])
        raise Conflict(f"several conversations begin with {wanted!r}: {labels}")
    return found[0]  # of several with one label the newest


def _key(agent: str, channel: str, origin: str, name: str) -> str:
    scope = SessionScope.PER_CHANNEL_PEER
    return str(SessionKey(scope, AgentId(agent), channel, peer=f"{origin}/{name}"))


def _moved(session_key: str, to: str) -> list[Op]:
    """A transcript with its words and turns; the target is empty."""
    return [
        rows.MoveEntries(session_key, to),
        rows.MoveContents(to),
        rows.MoveInputs(session_key, to),
    ]


def _dropped(session_key: str) -> list[Op]:
    return [
        rows.BlankSession(session_key),
        rows.ClearTranscript(session_key),
        rows.DropSession(session_key),
    ]


def _first_words(entries: Sequence[rows.EntryRow]) -> str:
    for message in said_in(entries):
        if isinstance(message, UserMessage):
            words = " ".join(text_of(message.parts).split())
            return words if len(words) <= LABEL_CHARS else words[: LABEL_CHARS - 1] + "…"
    return "without words"
