"""Parameters into models: every problem by its path, nothing of what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import InvalidInput
from gateway.rpc.params import validated
from gateway.wire.jsonrpc import JsonParams
from gateway.wire.methods.base import NoParams
from gateway.wire.methods.connection import Connect, EventNames
from gateway.wire.methods.events import Subscribe
from gateway.wire.methods.turns import ListTurns, Send, WaitTurn
from gateway.wire.problems import MAX_PROBLEMS


def problems(model: Any, params: JsonParams) -> str:
    with pytest.raises(InvalidInput) as caught:
        validated(model, params)
    return str(caught.value)


def test_positional_parameters_follow_the_order_of_the_fields() -> None:
    """As the documentation lists them."""
    assert validated(WaitTurn, ["t_1", 5]) == WaitTurn(turn_id="t_1", wait_ms=5)
    assert validated(WaitTurn, ["t_1"]) == WaitTurn(turn_id="t_1")
    assert validated(Send, ["hello"]).text == "hello"


def test_one_method_takes_names_one_after_the_other() -> None:
    """As rpc-websockets sends them; as an object they have a name."""
    assert validated(EventNames, ["turn.", "a"]).names == ["turn.", "a"]
    assert validated(EventNames, {"names": ["turn."]}).names == ["turn."]


def test_too_many_positional_parameters_are_counted() -> None:
    """With the names of those there are."""
    assert problems(WaitTurn, [1, 2, 3]) == (
        "at most 2 positional parameters (turn_id, wait_ms), got 3"
    )
    assert "there are none" in problems(NoParams, [1])


@pytest.mark.parametrize(
    ("model", "params", "said"),
    [
        (WaitTurn, {}, "turn_id: missing"),
        (WaitTurn, {"turn_id": ""}, "turn_id: String should have at least 1 character"),
        (WaitTurn, {"turn_id": 5}, "turn_id: Input should be a valid string"),
        (WaitTurn, {"turn_id": "t", "wait_ms": "5"}, "wait_ms: Input should be a valid integer"),
        (WaitTurn, {"turn_id": "t", "wait_ms": 5.0}, "wait_ms: Input should be a valid integer"),
        (WaitTurn, {"turn_id": "t", "wait_ms": True}, "wait_ms: Input should be a valid integer"),
        (WaitTurn, {"turn_id": "t", "wait_ms": 600001}, "wait_ms: Input should be less than or"),
        (WaitTurn, {"turnid": "t"}, "turnid: no such parameter; did you mean 'turn_id'?"),
        (Send, {"txt": "x"}, "txt: no such parameter; did you mean 'text'"),
        (Send, {}, "give either text or parts"),
        (
            Send,
            {"text": "a", "parts": [{"type": "text", "text": "b"}]},
            "give either text or parts",
        ),
        (Send, {"parts": []}, "parts: List should have at least 1 item"),
        (Send, {"parts": [{"type": "song"}]}, "parts.0: Input tag"),
        (Send, {"parts": [{"type": "image", "url": "file:///etc/passwd"}]}, "parts.0.image.url"),
        (ListTurns, {"limit": 101}, "limit: Input should be less than or equal to 100"),
        (Connect, {"scopes": ["root"]}, "scopes.0: Input should be 'read', 'chat'"),
        (Connect, {"client": {"nam": "x"}}, "client.nam: no such parameter"),
        (Subscribe, {"filter": {"kind": ["x"]}}, "filter.kind: no such parameter; did you mean 'k"),
        (Subscribe, {"filter": {"zzz": 1}}, "filter.zzz: no such parameter; it takes session_key"),
        (Subscribe, {"after_seq": -1}, "after_seq: Input should be greater"),
        (Subscribe, {"after_seq": 2**63}, "after_seq: Input should be less"),
    ],
)
def test_a_problem_has_its_path(model: Any, params: JsonParams, said: str) -> None:
    """And the rule that was broken."""
    assert said in problems(model, params)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (Connect, {"token": ["hunter2"]}),
        (Connect, {"token": {"a": "hunter2"}}),
        (Connect, {"token": "", "scopes": ["hunter2"]}),
        (Connect, {"token": "x" * 513, "client": "hunter2"}),
        (Send, {"parts": [{"type": "image", "url": "hunter2"}]}),
        (Send, {"text": 1, "wait_ms": "hunter2"}),
    ],
)
def test_what_was_sent_is_not_repeated(model: Any, params: JsonParams) -> None:
    """It may be a secret in the wrong place."""
    assert "hunter2" not in problems(model, params)


def test_every_parameter_is_named_and_required_ones_come_first() -> None:
    """What a newcomer guesses for `text` is near nothing, and `text` must not be in "3 more"."""
    said = problems(Send, {"message": "hello"})
    assert "message: no such parameter; it takes text, parts, channel, " in said
    assert all(name in said for name in Send.model_fields)
    assert "it takes turn_id (required), wait_ms" in problems(WaitTurn, {"id": "t", "turn_id": "t"})
    assert problems(NoParams, {"x": 1}) == "x: no such parameter; it takes none"


def test_ten_misspelt_names_need_one_list() -> None:
    said = problems(Send, {"text": "x", "txet": 1, "zzz": 2})
    assert said.count("it takes") == 1
    assert said.endswith("zzz: no such parameter; see the list above")


def test_a_list_of_mistakes_ends() -> None:
    """A thousand wrong items are one mistake."""
    said = problems(EventNames, {"names": [1] * 32})
    assert said.count(";") == MAX_PROBLEMS
    assert said.endswith("and 22 more")


def test_a_hundred_thousand_mistakes_cost_no_more_than_ten() -> None:
    """A hint for each takes seconds, in which nobody is served; strangers may call `connect`."""
    told = problems(Connect, {f"tok{number}": 0 for number in range(100_000)})
    assert told.count("did you mean 'token'?") == MAX_PROBLEMS
    assert told.endswith(f"and {100_000 - MAX_PROBLEMS} more")
