from __future__ import annotations

import pytest

from agents.base.messages import (
    AssistantMessage,
    Messages,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.summaries import view
from agents.context import (
    CUT_SHORT,
    EMPTY_MESSAGE,
    GO_ON,
    INTERRUPTED,
    STARTED_BY_AGENT,
    UNANSWERED,
    call_ids,
    for_request,
    fresh_id,
    interrupted,
    pieces,
    repair,
)
from gateway.core.parts import Image, Text


def user(*texts: str) -> UserMessage:
    return UserMessage(tuple(Text(text) for text in texts))


def said(text: str = "", *calls: ToolCall, partial: bool = False) -> AssistantMessage:
    return AssistantMessage(text, calls, partial)


def call(id_: str = "a", name: str = "look", arguments: str = "{}") -> ToolCall:
    return ToolCall(id_, name, arguments)


def result(id_: str = "a", text: str = "found", name: str = "look") -> ToolMessage:
    return ToolMessage(id_, name, text)


GOOD: Messages = (
    user("hi"),
    said("looking", call("a"), call("b")),
    result("a"),
    result("b"),
    said("done"),
    user("thanks"),
)


def test_a_good_history_stays_as_it_is() -> None:
    assert repair(GOOD) == GOOD
    assert repair(()) == ()


def test_a_call_without_result_was_interrupted() -> None:
    history = (user("hi"), said("", call("a"), call("b")), result("b"), user("and?"))
    lost = ToolMessage("a", "look", INTERRUPTED, is_error=True)
    assert repair(history) == (*history[:2], lost, result("b"), said(UNANSWERED), user("and?"))


def test_results_stand_in_the_order_of_their_calls() -> None:
    history = (user("hi"), said("", call("a"), call("b")), result("b"), result("a"))
    assert repair(history)[2:] == (result("a"), result("b"))


def test_a_result_behind_a_user_message_moves_to_its_call() -> None:
    history = (user("hi"), said("", call()), user("hurry"), result(), said("done"))
    assert repair(history) == (
        user("hi"),
        said("", call()),
        result(),
        said(UNANSWERED),
        user("hurry"),
        said("done"),
    )


@pytest.mark.parametrize(
    "history",
    [
        (result(), user("hi")),
        (user("hi"), result()),
        (user("hi"), said("no call"), result()),
        (user("hi"), said("", call()), result(), result(text="again"), said("ok")),
        (user("hi"), said("", call()), result(), said("ok"), result()),
    ],
)
def test_a_result_without_its_call_is_dropped(history: Messages) -> None:
    expected = list(history)
    last = max(n for n, message in enumerate(expected) if isinstance(message, ToolMessage))
    del expected[last]
    assert repair(history) == tuple(expected)


def test_ids_used_twice_are_told_apart() -> None:
    """Small models count their calls from zero in each answer."""
    history = (
        user("hi"),
        said("", call("a"), call("a")),
        result("a", "first"),
        result("a", "second"),
        said("", call("a")),
        result("a", "third"),
    )
    assert repair(history) == (
        user("hi"),
        said("", call("a"), call("a_2")),
        result("a", "first"),
        result("a_2", "second"),
        said("", call("a_3")),
        result("a_3", "third"),
    )


def test_ids_used_twice_are_told_apart_across_whole_answers() -> None:
    asked = (user("hi"), said("", call("a")), result("a"), said("done"))
    again = (user("hi"), said("", call("a_2")), result("a_2"), said("done"))
    assert repair((*asked, *asked)) == (*asked, *again)


def test_questions_with_whole_answers_are_pieces_of_their_own() -> None:
    """Those are passed on as they are, so a long history costs little for each call."""
    talk = tuple(part for number in range(1000) for part in (user(str(number)), said("yes")))
    assert [len(piece) for piece in pieces(view((*talk, *GOOD)))] == [2] * 1000 + [len(GOOD) - 1, 1]
    assert repair((*talk, *GOOD)) == (*talk, *GOOD)


def test_ids_and_names_no_provider_takes_are_rewritten() -> None:
    odd = call("functions.look:0" + "x" * 60, "näme with space" * 9)
    (_, answer, found) = repair((user("hi"), said("", odd), result(odd.id, name="other")))
    assert isinstance(answer, AssistantMessage)
    assert isinstance(found, ToolMessage)
    (made,) = answer.tool_calls
    assert made.id == "functions_look_0" + "x" * 24
    assert made.name == ("n_me_with_space" * 9)[:64]
    assert (found.call_id, found.name, found.text) == (made.id, made.name, "found")
    (_, answer, _) = repair((user("hi"), said("", call("", ""))))
    assert answer == said("", call("call", "unnamed"))


@pytest.mark.parametrize(
    ("arguments", "becomes"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("", "{}"),
        ("  ", "{}"),
        ('{"a": ', '{"text": "{\\"a\\": "}'),
        ("[1]", '{"text": "[1]"}'),
        ('{"a": NaN}', '{"text": "{\\"a\\": NaN}"}'),
        ("null", '{"text": "null"}'),
        ("[" * 100_000, '{"text": "' + "[" * 100_000 + '"}'),
    ],
)
def test_arguments_are_an_object_afterwards(arguments: str, becomes: str) -> None:
    (_, answer, _) = repair((user("hi"), said("", call(arguments=arguments))))
    assert answer == said("", call(arguments=becomes))


def test_user_messages_in_a_row_become_one() -> None:
    picture = UserMessage((Image("https://example.org/a.png"),))
    assert repair((user("a"), user("b", "c"), picture)) == (
        UserMessage((Text("a"), Text("b"), Text("c"), Image("https://example.org/a.png"))),
    )


def test_answers_in_a_row_become_one() -> None:
    history = (user("hi"), said("a"), said("b", call()), result())
    assert repair(history) == (user("hi"), said("a\n\nb", call()), result())


def test_empty_answers_are_dropped_and_what_they_kept_apart_meets() -> None:
    history = (user("a"), said(" "), said("", partial=True), user("b"))
    assert repair(history) == (user("a", "b"),)


def test_blank_text_is_left_out_but_never_the_message() -> None:
    assert repair((user("", "a", " \n"),)) == (user("a"),)
    assert repair((user(" "), user("a"))) == (user("a"),)
    assert repair((user(" "),)) == (user(EMPTY_MESSAGE),)
    assert repair((UserMessage(()),)) == (user(EMPTY_MESSAGE),)


def test_a_conversation_the_agent_began_gets_a_beginning() -> None:
    history = (result(), said("good morning"), user("hello"))
    assert repair(history) == (user(STARTED_BY_AGENT), said("good morning"), user("hello"))


def test_a_partial_answer_says_so_once() -> None:
    history = (user("hi"), said("Once upon", partial=True))
    once = (user("hi"), said(f"Once upon\n{CUT_SHORT}", partial=True))
    assert repair(history) == once
    assert repair(once) == once


def test_a_partial_answer_may_be_calls_alone() -> None:
    history = (user("hi"), said("", call(), partial=True))
    assert repair(history) == (
        user("hi"),
        said(CUT_SHORT, call(), partial=True),
        interrupted(call()),
    )


def test_a_longer_history_keeps_the_form_of_its_beginning() -> None:
    """What the provider has cached stays usable from round to round."""
    history = (
        user("hi"),
        said("", call("a"), call("a")),
        result("a"),
        said("so", call("a")),
        result("a"),
        said("done"),
        user("more"),
    )
    whole = repair(history)
    for end in (4, 6, 7):
        part = repair(history[:end])
        assert part[: end - 1] == whole[: end - 1]


def test_a_request_ends_with_something_to_answer() -> None:
    assert for_request(GOOD) == GOOD
    assert for_request((user("hi"), said("", call()))) == repair((user("hi"), said("", call())))
    assert for_request((user("hi"), said("ok"))) == (user("hi"), said("ok"), user(GO_ON))
    assert for_request(()) == (user(GO_ON),)


def test_fresh_ids_are_free_and_short() -> None:
    taken = {"a", "a_2", "x" * 40}
    assert fresh_id("b", taken) == "b"
    assert fresh_id("a", taken) == "a_3"
    assert fresh_id("x" * 50, taken) == "x" * 38 + "_2"
    assert fresh_id("", taken) == "call"
    assert fresh_id("ä/b", taken) == "_b"


def test_call_ids_are_those_of_every_answer() -> None:
    assert call_ids(GOOD) == {"a", "b"}
