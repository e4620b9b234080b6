"""What waits for a slow client, and what is given up for it."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.http.outbound import Outbound


def delta(text: str, offset: int, **more: Any) -> dict[str, Any]:
    return {"turn_id": "t", "attempt": 1, **more, "text": text, "offset": offset}


def taken(queue: Outbound) -> list[Any]:
    return [json.loads(frame) for frame in queue.take(1 << 30)]


def test_messages_leave_in_their_order() -> None:
    queue = Outbound(10, 1000)
    for number in range(5):
        assert queue.push(b"%d" % number)
    assert queue.take(3) == [b"0", b"1", b"2"]
    assert queue.take(1) == [b"3"]
    assert queue.take(1000) == [b"4"]
    assert queue.take(1000) == []
    assert queue.size == 0


def test_both_bounds_hold() -> None:
    queue = Outbound(2, 10)
    assert queue.push(b"1234")
    assert not queue.push(b"1234567")
    assert queue.push(b"123456")
    assert not queue.push(b"")
    assert (len(queue), queue.size) == (2, 10)


def test_one_larger_than_the_bound_fits_when_alone() -> None:
    """Else it could never be sent at all."""
    queue = Outbound(2, 10)
    assert queue.push(b"x" * 100)
    assert not queue.push(b"y")
    assert queue.take(1) == [b"x" * 100]


def test_a_preview_that_continues_is_joined() -> None:
    queue = Outbound(10, 10_000)
    for text, offset in (("Hel", 0), ("lo", 3), ("!", 5)):
        assert queue.preview("t", "turns.delta", delta(text, offset))
    assert taken(queue) == [
        {"jsonrpc": "2.0", "method": "turns.delta", "params": delta("Hello!", 0)}
    ]
    assert queue.size == 0


def test_a_preview_that_does_not_continue_replaces() -> None:
    """A new attempt, or a gap: the offset shows the client what it did not see."""
    queue = Outbound(10, 10_000)
    queue.preview("t", "turns.delta", delta("Hel", 0))
    queue.preview("t", "turns.delta", delta("Bye", 0, attempt=2))
    queue.preview("t", "turns.delta", delta("!", 9, attempt=2))
    assert [item["params"] for item in taken(queue)] == [delta("!", 9, attempt=2)]


def test_previews_of_other_keys_and_without_text_are_their_own() -> None:
    queue = Outbound(10, 10_000)
    queue.preview("a", "m", {"n": 1})
    queue.preview("b", "m", delta("x", 0))
    queue.preview("a", "m", {"n": 2})
    assert [item["params"] for item in taken(queue)] == [{"n": 2}, delta("x", 0)]


def test_a_preview_never_overtakes_nor_joins_what_has_left() -> None:
    queue = Outbound(10, 10_000)
    queue.preview("t", "turns.delta", delta("a", 0))
    queue.push(b'{"end":1}')
    assert len(taken(queue)) == 2
    queue.preview("t", "turns.delta", delta("b", 1))
    assert [item["params"] for item in taken(queue)] == [delta("b", 1)]


def test_previews_leave_half_of_the_room_to_what_must_arrive() -> None:
    queue = Outbound(10, 1 << 20)
    kept = [queue.preview(str(n), "m", {"n": n}) for n in range(10)]
    assert kept == [True] * 5 + [False] * 5
    assert all(queue.push(b"x") for _ in range(5))


def test_a_joined_preview_does_not_grow_past_its_half() -> None:
    queue = Outbound(10, 10_000)
    offset = 0
    while queue.preview("t", "m", delta("x" * 100, offset)):
        offset += 100
    assert 4_000 < offset < 6_000
    assert queue.size < 10_000


def test_cleared_it_is_as_new() -> None:
    queue = Outbound(10, 10_000)
    queue.push(b"x")
    queue.preview("t", "m", delta("a", 0))
    queue.clear()
    assert (len(queue), queue.size, queue.take(100)) == (0, 0, [])
    queue.preview("t", "m", delta("b", 1))
    assert [item["params"] for item in taken(queue)] == [delta("b", 1)]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40).map(lambda frame: ("push", frame)),
            st.tuples(st.just("preview"), st.sampled_from("abc")),
            st.tuples(st.just("take"), st.integers(1, 60)),
        ),
        max_size=60,
    )
)
def test_what_was_taken_in_leaves_once_and_in_order(steps: list[tuple[str, Any]]) -> None:
    queue = Outbound(8, 2_000)
    pushed: list[bytes] = []
    left: list[bytes] = []
    for step, value in steps:
        if step == "push" and queue.push(value):
            pushed.append(value)
        elif step == "preview":
            queue.preview(value, "m", delta("x", 0))
        elif step == "take":
            left += [frame for frame in queue.take(value) if b'"method"' not in frame]
        assert len(queue) <= 8
        assert queue.size <= 2_000
    left += [frame for frame in queue.take(1 << 30) if b'"method"' not in frame]
    assert left == pushed
    assert queue.size == 0
