"""Whose a session or a turn is, asked of the store and remembered."""

from __future__ import annotations

from gateway.conversations.ownership import Ownership
from gateway.identity.principal import Principal, Scope
from tests.unit.gateway.conversations.saying import said
from tests.unit.gateway.rpc.talk import ALICE, BOB, USER, World


async def test_owners_are_remembered_within_a_bound(world: World) -> None:
    """What is forgotten is asked for again."""
    turn = await said(world, "one")
    ownership = Ownership(world.gateway.store, remembered=1)
    assert await ownership.sees(ALICE, turn.session_key, turn.turn_id)
    other = await said(world, "two", "other")
    assert await ownership.sees(ALICE, other.session_key, other.turn_id)
    assert not await ownership.sees(BOB, turn.session_key, turn.turn_id)
    assert not await ownership.sees(BOB, "", "")
    assert not ownership.known_to_see(BOB, "", "")


async def test_nobodys_events_are_for_operators(world: World) -> None:
    """A principal without a name owns nothing, not even what has no owner."""
    ownership = Ownership(world.gateway.store)
    ghost = Principal("", USER, "k_ghost")
    assert not await ownership.sees(ghost, "nowhere", "nothing")
    assert not ownership.known_to_see(ghost, "", "")
    admin = Principal("root", frozenset({Scope.ADMIN}), "k")
    assert await ownership.sees(admin, "nowhere", "nothing")
