"""Which waiting messages one turn answers: no store, no loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base.messages import SourceClass
from gateway.core.keys import RouteKey
from gateway.store.base.inputs import InputRow
from gateway.turns.merging import next_group
from tests.unit.gateway.turns.rows import row

ROUTE = RouteKey("memory", peer="ann", group="g", thread="th")


def numbers(*waiting: InputRow) -> list[int]:
    return [input_.ordinal for input_ in next_group(waiting)]


def test_nothing_waits() -> None:
    """Then there is no turn."""
    assert next_group(()) == ()


def test_messages_of_one_sender_become_one_turn() -> None:
    """In the order in which they were accepted."""
    assert numbers(row(1), row(2), row(3)) == [1, 2, 3]


@pytest.mark.parametrize(
    "other",
    [
        row(2, route=replace(ROUTE, channel="other")),
        row(2, route=replace(ROUTE, account="other")),
        row(2, route=replace(ROUTE, guild="other")),
        row(2, route=replace(ROUTE, group="other")),
        row(2, route=replace(ROUTE, thread="other")),
        row(2, route=replace(ROUTE, peer="other")),
        row(2, route=ROUTE, principal="other"),
        row(2, route=ROUTE, source=SourceClass.CRON),
        row(2, route=ROUTE)._replace(agent_override="main"),
        row(2, route=ROUTE)._replace(agent_id="luna"),
    ],
)
def test_whoever_differs_gets_a_turn_of_its_own(other: InputRow) -> None:
    """Merging is only for messages between which nobody could tell a difference."""
    first, third = row(1, route=ROUTE), row(3, route=ROUTE)
    assert numbers(first, other, third) == [1]
    assert numbers(other, third) == [2]


def test_nothing_merges_with_a_barrier_or_across_one() -> None:
    """Commands and attachments are answered alone; what came after them was said after them."""
    barrier = row(2, barrier=True)
    assert numbers(row(1), barrier, row(3)) == [1]
    assert numbers(barrier, row(3), row(4)) == [2]
    assert numbers(row(3), row(4)) == [3, 4]


@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.booleans(), st.sampled_from(["a", "b"])),
        max_size=8,
    )
)
def test_turns_taken_one_after_another_keep_the_order_and_leave_nothing_out(
    said: list[tuple[str, bool, str]],
) -> None:
    """For any mixture of senders, commands and credentials."""
    waiting = [
        row(number, route=replace(ROUTE, peer=peer), barrier=barrier, principal=principal)
        for number, (peer, barrier, principal) in enumerate(said)
    ]
    answered: list[InputRow] = []
    while group := next_group(waiting):
        assert len(group) == 1 or not any(input_.barrier for input_ in group)
        assert len({(input_.route_key, input_.principal) for input_ in group}) == 1
        answered += group
        waiting = waiting[len(group) :]
    assert [input_.ordinal for input_ in answered] == list(range(len(said)))
