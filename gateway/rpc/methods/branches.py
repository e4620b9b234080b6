"""Conversations taken back by some turns, or copied up to one and gone on with elsewhere.

Both cut between turns, never within one: a turn's messages belong together.
"""

from __future__ import annotations

from gateway.core.errors import Conflict, InvalidInput, NotFound, UnknownAgent
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.rpc.methods.upkeep import begin, commit, when_idle
from gateway.store.base import conversations as store
from gateway.store.base.catalog import Op
from gateway.wire.methods import sessions as wire

MAX_COPIED = 2000
"""Most messages copied at once: one write makes others wait no longer than a turn's end does."""


async def rewind(call: Call, params: wire.RewindSession) -> wire.SessionRewound:
    """Take the last turns of a conversation back."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    work = _rewind(call, row.session_key, params.count)
    return await call.shared.whole("sessions.rewind", work)


async def fork(call: Call, params: wire.ForkSession) -> wire.SessionForked:
    """Copy a conversation up to a turn into a fresh one; both go on by themselves."""
    row = await call.shared.ownership.session(call.principal, params.session_key)
    entries = await call.gateway.store.read(store.LoadTranscript(row.session_key))
    taken = _through(entries, params.turn_id)
    if len(taken) > MAX_COPIED:
        raise InvalidInput(
            f"the part has {len(taken)} messages, at most {MAX_COPIED} are copied; give an earlier "
            "turn_id"
        )
    fresh = await begin(call, row.agent_id)
    ops: list[Op] = [fresh.touch, store.SetLabel(fresh.key, params.label)]
    for position, entry in enumerate(taken):
        # Words of its own: deleting the one leaves the other alone.
        content = call.gateway.ids.new("c")
        ops.append(store.PutContent(content, fresh.key, entry.body or ""))
        at = fresh.touch.at
        ops.append(store.AppendEntry(fresh.key, position, entry.turn_id, content, at))
    await commit(call, *ops)
    return wire.SessionForked(
        session_key=fresh.key,
        agent_id=fresh.touch.agent_id,
        peer_id=fresh.peer,
        entries=len(taken),
    )


async def _rewind(call: Call, key: str, count: int) -> wire.SessionRewound:
    entries = await call.gateway.store.read(store.LoadTranscript(key))
    turns = list(dict.fromkeys(entry.turn_id for entry in entries))
    gone = set(turns[-count:])
    kept = [entry for entry in entries if entry.turn_id not in gone]
    removed = len(entries) - len(kept)
    if removed:
        position = next(entry.position for entry in entries if entry.turn_id in gone)
        # A turn that has ended since makes this a conflict: its entries would go unseen.
        cut = store.CutTranscript(key, position, entries[-1].position + 1)
        receipt = await when_idle(call, key, cut)
        removed = receipt.touched[1]
        call.gateway.sessions.forget(key)
    return wire.SessionRewound(
        session_key=key, turns=len(gone), removed=removed, remaining=len(kept)
    )


def _through(entries: list[store.EntryRow], turn_id: str) -> list[store.EntryRow]:
    """The entries up to the end of a turn, those that were blanked left out."""
    if turn_id:
        places = [place for place, entry in enumerate(entries) if entry.turn_id == turn_id]
        if not places:
            raise NotFound(f"the conversation has no turn {turn_id!r}")
        entries = entries[: places[-1] + 1]
    return [entry for entry in entries if entry.body is not None]


REWIND = Method("sessions.rewind", Scope.CHAT, rewind, errors=(NotFound, Conflict))
FORK = Method("sessions.fork", Scope.CHAT, fork, errors=(NotFound, Conflict, UnknownAgent))
