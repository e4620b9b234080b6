"""The rungs one by one."""

from __future__ import annotations

from agents.base import size
from agents.base.messages import AssistantMessage, Messages, ToolCall, ToolMessage, UserMessage
from agents.base.models import ModelRequest
from agents.resilience import shrinking
from gateway.core.parts import Text


def user(text: str) -> UserMessage:
    return UserMessage((Text(text),))


def exchange(number: int, result: str = "") -> Messages:
    """A question, a tool call where there is a result, an answer."""
    call = ToolCall(f"c{number}", "look", "{}")
    looked = (AssistantMessage("", (call,)), ToolMessage(call.id, "look", result)) if result else ()
    return (user(f"q{number}"), *looked, AssistantMessage(f"a{number}"))


def talk(count: int, result: str = "") -> Messages:
    return tuple(said for number in range(count) for said in exchange(number, result))


def test_room_is_left_for_the_answer_but_never_more_than_a_quarter() -> None:
    assert shrinking.room(100_000, 4096) == 95_904
    assert shrinking.room(4096, 4096) == 3072


def test_old_results_are_cleared_and_new_ones_kept() -> None:
    history = talk(5, "x" * 1000)
    smaller = shrinking.cleared(history)
    texts = [said.text for said in smaller if isinstance(said, ToolMessage)]
    assert texts[:4] == [shrinking.CLEARED.format(name="look", chars=1000)] * 4
    assert texts[4] == "x" * 1000
    assert shrinking.cleared(smaller) == smaller


def test_short_results_are_not_worth_clearing() -> None:
    assert shrinking.cleared(talk(5, "x" * 100)) == talk(5, "x" * 100)


def test_long_results_are_cut_at_a_line() -> None:
    history = exchange(0, "line\n" * 1000)
    (cut,) = [s for s in shrinking.truncated(history, 1000) if isinstance(s, ToolMessage)]
    head, _, note = cut.text.partition("\n[cut here")
    assert head.endswith("line")
    assert len(head) <= 1200
    assert note.startswith(f"; {5000 - len(head)} more characters")


def test_a_summary_ends_between_whole_exchanges_and_leaves_the_newest() -> None:
    history = talk(6, "result")
    place, *later = shrinking.splits(history)
    assert place == 12
    assert isinstance(history[place], UserMessage)
    assert later == sorted(later)
    assert all(place < one <= len(history) - shrinking.KEPT_LEAST for one in later)
    assert shrinking.splits(talk(2)) == [], "there is nothing to win"
    assert shrinking.splits(exchange(1, "x" * 9999)) == [], "what was asked last stays"


def test_what_is_left_out_is_said_and_the_last_question_stays() -> None:
    history = talk(10)
    kept = shrinking.dropped(history, 50)
    assert kept[0] == user(shrinking.LEFT_OUT)
    assert kept[-1] == history[-1]
    assert isinstance(kept[1], UserMessage)
    assert sum(map(size.of_message, kept[1:])) <= 50
    assert shrinking.dropped(history, 0)[1:] == history[-2:]
    assert shrinking.dropped(history[:2], 0) == history[:2]


def test_the_request_for_a_summary_fits_itself() -> None:
    """Its own overflow would end the rescue."""
    asked = ModelRequest("big", "You are a test.", (), fallbacks=("small",))
    history = (user("[summary] once"), *talk(500, "x" * 3000))
    for tokens in (500, 4000, 100_000):
        request = shrinking.summary_request(asked, history, tokens)
        assert request.guess + request.max_tokens <= max(tokens, 600)
        assert (request.model, request.fallbacks, request.tools) == ("big", ("small",), ())
        (said,) = request.messages
        assert isinstance(said, UserMessage)
        (part,) = said.parts
        assert isinstance(part, Text)
        assert part.text.startswith("User: [summary] once\n")
        assert part.text.endswith("Assistant: a499")
