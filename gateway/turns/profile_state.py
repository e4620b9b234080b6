"""Keeps in the store what is known of keys and models. Knows the stored form, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import orjson
import structlog

from agents.base.profiles import Kept, Learnt, Standing
from gateway.core.clock import Clock
from gateway.store.base.profiles import ListStandings, PutStanding, StandingRow
from gateway.store.base.store import Durability, Store, Unit

log = structlog.get_logger(__name__)

_MEMBERS = frozenset(field.name for field in fields(Standing)) - {"learnt"}
_LEARNT = frozenset(field.name for field in fields(Learnt))


class StoredProfileState:
    """`agents.base.profiles.ProfileState` in the store."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def load(self) -> list[Kept]:
        """Everything that is kept; raises `StoreUnavailable`. What cannot be read is left out."""
        rows = await self._store.read(ListStandings())
        return [kept for kept in map(_from_row, rows) if kept is not None]

    def save(self, kept: Kept) -> None:
        """Keep it; nobody waits, and a crash right now costs one request to learn it again."""
        body = orjson.dumps({"fingerprint": kept.fingerprint, **asdict(kept.standing)}).decode()
        put = PutStanding(kept.profile, kept.model, body, self._clock.now_ms())
        self._store.post(Unit((put,), durability=Durability.POSTED))


def _from_row(row: StandingRow) -> Kept | None:
    try:
        body = orjson.loads(row.body)
        known = {name: value for name, value in body.items() if name in _MEMBERS}
        standing = Standing(**known, learnt=_learnt(body.get("learnt", {})))
        return Kept(row.profile, body["fingerprint"], row.model, standing)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log.error("profiles.unreadable", profile=row.profile, model=row.model, reason=str(error))
        return None


def _learnt(body: dict[str, Any]) -> Learnt:
    known = {name: value for name, value in body.items() if name in _LEARNT}
    return Learnt(**known | {"lacks": tuple(map(str, known.get("lacks", ())))})
