"""Stored shapes of a turn: what is written is what is read, whatever it holds."""

from __future__ import annotations

import json
from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.effects import FinishedTool, ModelFailure, Snapshot
from agents.base.messages import Opaque, ToolCall
from agents.base.models import ModelReply, ToolSpec, Usage
from agents.base.tools import ToolResult
from gateway.core.errors import ModelCategory
from gateway.core.ids import AgentId
from gateway.turns.records import (
    CALLED,
    finished_from_json,
    finished_to_json,
    outcome_from_json,
    outcome_to_json,
    result_from_json,
    result_to_json,
    snapshot_from_json,
    snapshot_to_json,
    storable,
    without_opaque,
)

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 2**53)
OPAQUE = st.none() | st.builds(Opaque, TEXT, TEXT, TEXT)
CALLS = st.builds(ToolCall, TEXT, TEXT, TEXT, OPAQUE)
RESULTS = st.builds(ToolResult, TEXT, st.booleans())
SNAPSHOTS = st.builds(
    Snapshot,
    agent=TEXT.map(AgentId),
    system=TEXT,
    tools=st.lists(st.builds(ToolSpec, TEXT, TEXT, TEXT), max_size=3).map(tuple),
    models=st.lists(TEXT, max_size=3).map(tuple),
    max_tokens=COUNT,
    temperature=st.none() | st.floats(0, 2),
    max_rounds=COUNT,
    revision=COUNT,
    now_ms=COUNT,
)
REPLIES = st.builds(
    ModelReply,
    TEXT,
    st.lists(CALLS, max_size=3).map(tuple),
    TEXT,
    st.builds(Usage, COUNT, COUNT),
    TEXT,
    TEXT,
    opaque=OPAQUE,
)
FAILURES = st.builds(
    ModelFailure, st.sampled_from(get_args(ModelCategory)), TEXT, st.none() | COUNT
)
ANY_TEXT = st.text(st.characters(codec=None) | st.sampled_from("\ud83d\ude00\ud800"), max_size=10)


@given(SNAPSHOTS)
def test_a_snapshot_is_read_back_as_it_was(snapshot: Snapshot) -> None:
    """Step 0 decides what the turn is, in every execution of it."""
    assert snapshot_from_json(orjson.loads(orjson.dumps(snapshot_to_json(snapshot)))) == snapshot


@given(REPLIES | FAILURES)
def test_a_models_outcome_is_read_back_as_it_was(outcome: ModelReply | ModelFailure) -> None:
    """P3: a paid answer is replayed from its record."""
    assert outcome_from_json(orjson.loads(orjson.dumps(outcome_to_json(outcome)))) == outcome


@given(RESULTS)
def test_a_tools_result_is_read_back_as_it_was(result: ToolResult) -> None:
    """Errors included: the model reads the same text again."""
    assert result_from_json(orjson.loads(orjson.dumps(result_to_json(result)))) == result


@given(st.builds(FinishedTool, CALLS, RESULTS))
def test_a_finished_call_is_read_back_as_it_was(finished: FinishedTool) -> None:
    """What a stopped turn had reached."""
    assert finished_from_json(orjson.loads(orjson.dumps(finished_to_json(finished)))) == finished


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (None, ToolResult(CALLED)),
        ({}, ToolResult(CALLED)),
        ({"is_error": True}, ToolResult(CALLED, is_error=True)),
        ({"text": "paid", "more": 1}, ToolResult("paid")),
        ("paid", ToolResult("paid")),
        (7, ToolResult("7")),
        (["a"], ToolResult("['a']")),
    ],
)
def test_what_an_operator_says_of_a_call_is_read_as_a_result(
    said: object, result: ToolResult
) -> None:
    """He writes it by hand; whatever he writes, the turn goes on with it."""
    assert result_from_json(said) == result


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain", "plain"),
        ("日本語 👩‍👧", "日本語 👩‍👧"),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
    ],
)
def test_text_is_kept_without_lone_surrogates(text: str, kept: str) -> None:
    """Pairs that arrived in two halves become what they meant."""
    assert storable(text) == kept


@given(ANY_TEXT)
def test_any_text_can_be_kept(text: str) -> None:
    """Models write JSON escapes and tools read file names; both may hold halves of characters."""
    kept = storable(text)
    assert kept.encode().decode() == kept
    assert storable(kept) == kept


def test_an_outcome_with_halves_of_characters_can_be_kept() -> None:
    """In every member that comes from outside."""
    half = json.loads('"\\ud800"')
    call = ToolCall(half, half, half)
    for value in (
        outcome_to_json(ModelReply(half, (call,), half, Usage(), half, half)),
        outcome_to_json(ModelFailure("server", half)),
        result_to_json(ToolResult(half)),
        finished_to_json(FinishedTool(call, ToolResult(half))),
    ):
        assert b"\xef\xbf\xbd" in orjson.dumps(value)


def test_what_was_sent_beside_an_answer_is_not_shown() -> None:
    call = ToolCall("a", "look", "{}", Opaque("p", "m", '{"signature": "x"}'))
    stored = outcome_to_json(ModelReply("Hi", (call,), opaque=Opaque("p", "m", '{"x": "x"}')))
    assert "opaque" not in json.dumps(without_opaque(stored))
    assert without_opaque(stored)["text"] == "Hi"
    assert [without_opaque(value) for value in (None, 7, [1])] == [None, 7, [1]]


def test_an_outcome_from_before_there_were_thoughts_is_read() -> None:
    stored = outcome_to_json(ModelReply("Hi", (ToolCall("a", "look", "{}"),)))
    assert "opaque" not in json.dumps(stored)
    read = outcome_from_json(stored)
    assert isinstance(read, ModelReply)
    assert (read.opaque, read.tool_calls[0].opaque) == (None, None)
