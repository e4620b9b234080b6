"""A transcript that is moved to another session, with its words and its turns."""

from __future__ import annotations

from gateway.core.errors import Conflict
from gateway.store.base.conversations import (
    BlankSession,
    KeptSessions,
    LoadTranscript,
    MoveContents,
    MoveEntries,
    MoveInputs,
    SetLabel,
)
from gateway.store.base.inputs import GetInput, MergeInput
from gateway.store.base.store import Store
from tests.support.store_units import (
    SESSION,
    a_content,
    a_session,
    an_entry,
    an_input,
    put,
    refusal,
)

ASIDE = "agent:main:aside:direct:x%2Fp_1"
MOVE = (MoveEntries(SESSION, ASIDE), MoveContents(ASIDE), MoveInputs(SESSION, ASIDE))


async def test_words_and_ended_turns_go_along(store: Store) -> None:
    """Who deletes the session it came from leaves them alone; what is open stays where it is."""
    await put(
        store,
        a_session(),
        a_content(),
        an_input(),
        an_input(turn_id="t2", external_id="", content_id="c2"),
        MergeInput("t2", "t1", 2),
        an_entry(),
    )
    await put(store, *MOVE, BlankSession(SESSION))
    assert await store.read(LoadTranscript(SESSION)) == []
    assert [row.body for row in await store.read(LoadTranscript(ASIDE))] == ['"words"']
    (open_turn,) = await store.read(GetInput("t1"))
    (merged,) = await store.read(GetInput("t2"))
    assert (open_turn.session_key, merged.session_key) == (SESSION, ASIDE)


async def test_nothing_is_moved_over_what_is_there(store: Store) -> None:
    await put(store, an_entry(), an_entry(session_key=ASIDE, content_id="c2"))
    assert await refusal(put(store, MoveEntries(SESSION, ASIDE))) is Conflict


async def test_what_is_kept_of_a_place_is_found_by_its_beginning(store: Store) -> None:
    """Of one owner, and of that place alone; `%` and `_` in it are no patterns."""
    await put(
        store,
        a_session(session_key=ASIDE),
        SetLabel(ASIDE, "plans"),
        an_entry(session_key=ASIDE),
        a_session(session_key=ASIDE.replace("_1", "_2"), principal="bob"),
        a_session(session_key="agent:main:aside:direct:xy2Fp_1"),
    )
    (found,) = await store.read(KeptSessions("ann", "agent:main:aside:direct:x%2F", 10))
    assert (found.session_key, found.label, found.entries) == (ASIDE, "plans", 1)
