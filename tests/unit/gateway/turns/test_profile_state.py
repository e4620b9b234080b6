"""What is known of keys, in a real store."""

from __future__ import annotations

from agents.base.profiles import Kept, Learnt, Standing
from gateway.core.clock import ManualClock
from gateway.store.base.profiles import PutStanding
from gateway.store.base.store import Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.profile_state import StoredProfileState

KEPT = Kept(
    "k1",
    "abc",
    "big",
    Standing(3, "rate", 1, 2, 3, 4, Learnt(8192, 512, ("images", "tools"), 1, 5)),
)


async def test_what_is_saved_is_loaded_and_the_newest_holds() -> None:
    store = await open_sqlite(None)
    try:
        state = StoredProfileState(store, ManualClock())
        state.save(Kept("k1", "abc", "big", Standing()))
        state.save(KEPT)
        await store.commit(Unit())
        assert await state.load() == [KEPT]
    finally:
        await store.close()


async def test_what_cannot_be_read_is_left_out() -> None:
    """A newer version may have written it; a start must not fail for it."""
    store = await open_sqlite(None)
    try:
        state = StoredProfileState(store, ManualClock())
        state.save(KEPT)
        bad = ("nonsense", "[]", "{}", '{"fingerprint": "x", "failures": 1, "later": true}')
        puts = tuple(PutStanding(f"x{n}", "m", body, 1) for n, body in enumerate(bad))
        await store.commit(Unit(puts))
        kept = await state.load()
        assert [one.profile for one in kept] == ["k1", "x3"]
        assert kept[1].standing == Standing(failures=1)
    finally:
        await store.close()
