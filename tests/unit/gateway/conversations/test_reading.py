"""Sessions, transcripts and turns found and read, as any surface does it."""

from __future__ import annotations

import pytest

from gateway.conversations.reading import FROM_THE_TOP
from gateway.core.errors import NotFound, TooLarge
from gateway.core.parts import Text
from tests.unit.gateway.conversations.saying import NOTES, said
from tests.unit.gateway.rpc.talk import ALICE, BOB, OPERATOR, World

TOP = (FROM_THE_TOP, "")


async def test_lists_hold_ones_own_and_an_operators_all(world: World) -> None:
    """Newest first, below what was seen."""
    reading = world.gateway.conversations.reading
    first, second = await said(world, "one"), await said(world, "two", by=BOB)
    for principal, turns in (
        (ALICE, [first.turn_id]),
        (BOB, [second.turn_id]),
        (OPERATOR, [second.turn_id, first.turn_id]),
    ):
        found = await reading.turns(principal, session_key=None, before=FROM_THE_TOP, limit=9)
        assert [row.turn_id for row in found] == turns
        sessions = await reading.sessions(principal, agent="", before=TOP, limit=9)
        assert len(sessions) == len(turns)
    (newest,) = await reading.turns(OPERATOR, session_key=None, before=FROM_THE_TOP, limit=1)
    (older,) = await reading.turns(OPERATOR, session_key=None, before=newest.ordinal, limit=1)
    assert (newest.turn_id, older.turn_id) == (second.turn_id, first.turn_id)


async def test_a_transcript_is_read_whole_or_in_pages(world: World) -> None:
    """Whole it begins with its first message, a page with its last."""
    reading = world.gateway.conversations.reading
    for text in ("one", "two"):
        await said(world, text)
    session, entries = await reading.transcript(ALICE, NOTES, max_chars=1 << 20)
    assert (session.session_key, [entry.position for entry in entries]) == (NOTES, [0, 1, 2, 3])
    page = await reading.history(ALICE, NOTES, before=3, limit=2)
    assert [entry.position for entry in page] == [2, 1]
    with pytest.raises(TooLarge, match="in pages"):
        await reading.transcript(ALICE, NOTES, max_chars=10)


async def test_a_turn_is_read_with_its_words(world: World) -> None:
    """By its owner; for a stranger neither it nor its session is there."""
    reading = world.gateway.conversations.reading
    turn = await said(world, "one")
    found = await reading.turn(ALICE, turn.turn_id)
    assert (found.said, found.position) == ((Text("one"),), None)
    assert found.ended is not None
    assert found.ended.text == "You said: one"
    for refused in (
        reading.turn(BOB, turn.turn_id),
        reading.session(BOB, NOTES),
        reading.history(BOB, NOTES, before=FROM_THE_TOP, limit=1),
        reading.transcript(BOB, NOTES, max_chars=1),
    ):
        with pytest.raises(NotFound):
            await refused
