"""Whatever happened in a conversation, every provider takes its next request.

Turns are taken with random answers, cuts, stops, failures and models, each adding to one
transcript, as it is kept and read; every request on the way is shown to every provider.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.effects import (
    CallModel,
    Cancelled,
    Compact,
    Effects,
    FinishedTool,
    ModelFailure,
    Outcome,
)
from agents.base.messages import Messages, Opaque, ToolCall, UserMessage, from_json, to_json
from agents.base.models import ModelReply, ModelRequest
from agents.base.tools import ToolResult
from agents.models import openai_request
from agents.models.profile import Profile
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from agents.resilience.rewording import Rewording
from agents.turn import ToolLoop
from gateway.core.errors import Blame, ModelFailed
from gateway.core.parts import Image, Text
from gateway.turns.records import outcome_from_json, outcome_to_json, storable
from tests.properties.examples import examples
from tests.properties.test_context import ARGUMENTS, CALLS, HISTORIES, IDS, NAMES, SNAPSHOT, TEXT
from tests.support.strict_servers import complaints, lacks_thoughts

WHO = (("deepseek", "thinker"), ("google", "gemini"), ("mistral", "large"))
THOUGHTS: dict[str, dict[str, object]] = {
    "thinker": {"reasoning_content": "so"},
    "gemini": {"extra_content": {"google": {"thought_signature": "EjQ="}}},
    "large": {},
}
LACKS: tuple[tuple[str, ...], ...] = (
    (),
    ("foreign_calls",),
    ("tools",),
    ("images", "parallel_calls"),
    ("system",),
)
USERS = st.builds(
    UserMessage,
    st.lists(st.one_of(st.builds(Text, TEXT), st.just(Image("https://h/x.png"))), max_size=2).map(
        tuple
    ),
)


@st.composite
def replies(draw: st.DrawFn) -> ModelReply:
    """An answer of one of the models, with what it wants back; the first call alone is signed."""
    profile, model = draw(st.sampled_from(WHO))
    beside = Opaque(profile, model, json.dumps(THOUGHTS[model])) if THOUGHTS[model] else None
    calls = draw(CALLS)
    if model == "gemini" and calls:
        calls = (replace(calls[0], opaque=beside), *calls[1:])
        beside = None
    finish = draw(st.sampled_from(["stop", "tool_calls", "length", "content_filter"]))
    return ModelReply(draw(TEXT), calls, finish, profile=profile, model=model, opaque=beside)


OUTCOMES = st.one_of(
    replies(),
    replies(),
    st.builds(ModelReply, TEXT, st.lists(st.builds(ToolCall, IDS, NAMES, ARGUMENTS)).map(tuple)),
    st.builds(ModelFailure, st.sampled_from(["rate", "truncated", "bad_response"]), TEXT),
)


def sent(request: ModelRequest, candidate: Candidate, able: Abilities) -> list[dict[str, Any]]:
    """The messages as this model at this profile gets them."""
    fit = Rewording(request, lambda one: 1).fitted(candidate, able)
    return written(fit, candidate)


def written(request: ModelRequest, candidate: Candidate) -> list[dict[str, Any]]:
    body = openai_request.to_json(
        request, model=candidate.model, limit_field="max_tokens", profile=candidate.profile.name
    )
    found = json.loads(openai_request.encoded(body))["messages"]
    assert isinstance(found, list)
    return found


def check(request: ModelRequest) -> None:
    for name, model in WHO:
        candidate = Candidate(Profile("http://h/v1", "k", model, name=name), model)
        for lacks in LACKS:
            messages = sent(request, candidate, Abilities(lacks=frozenset(lacks)))
            assert complaints(messages) == []
            others = {key for one in THOUGHTS.values() for key in one} - {*THOUGHTS[model]}
            assert not any(others & {*said} for said in messages)
        check_thinking(request, candidate)


def check_thinking(request: ModelRequest, candidate: Candidate) -> None:
    """A thinking model refuses at most once, and takes what comes then."""
    if not THOUGHTS[candidate.model]:
        return

    def thought(said: dict[str, Any]) -> bool:
        first = said["tool_calls"][0]
        return bool({"reasoning_content", "extra_content"} & {*said, *first})

    rewording, able = Rewording(request, lambda one: 1), Abilities()
    for _ in range(3):
        fit = rewording.fitted(candidate, able)
        if not lacks_thoughts(written(fit, candidate), thought):
            return
        missing = ModelFailed("bad_request", "", blame=Blame("request", member="foreign_calls"))
        again = rewording.after(candidate, able, missing, fit)
        assert again is not None
        able = Abilities(lacks=able.lacks | {again.lacks or "foreign_calls"})
    raise AssertionError("it would refuse for ever")


def stored(outcome: Outcome) -> Outcome:
    """As it comes from its record."""
    if isinstance(outcome, ModelReply | ModelFailure):
        return outcome_from_json(json.loads(json.dumps(outcome_to_json(outcome))))
    return outcome


@examples(30)
@given(HISTORIES, st.data())
def test_every_provider_takes_every_request(history: Messages, data: st.DataObject) -> None:
    """The beginning is any history at all, as imports and older releases leave them."""
    for _ in range(data.draw(st.integers(1, 3), label="turns")):
        history = (*history, data.draw(USERS))
        turn = ToolLoop((), models=()).run(SNAPSHOT, history)
        try:
            effect = next(turn)
            while True:
                if isinstance(effect, CallModel | Compact):
                    check(effect.request)
                if data.draw(st.integers(0, 5), label="stop") == 0:
                    turn.throw(stopped(effect, data))
                effect = turn.send(stored(outcome(effect, data)))
        except StopIteration as end:
            kept = (from_json(json.loads(json.dumps(to_json(new)))) for new in end.value.messages)
            history = (*history, *kept)


def outcome(effect: Effects, data: st.DataObject) -> Outcome:
    if isinstance(effect, CallModel | Compact):
        return data.draw(OUTCOMES)
    return tuple(ToolResult(storable(data.draw(TEXT))) for _ in effect.calls)


def stopped(effect: Effects, data: st.DataObject) -> Cancelled:
    calls = () if isinstance(effect, CallModel | Compact) else effect.calls
    done = [call for call in calls if data.draw(st.booleans())]
    return Cancelled(
        partial_text=data.draw(TEXT),
        finished_tools=tuple(FinishedTool(call, ToolResult("done")) for call in done),
    )


CALL = {"id": "abcdefgh1", "function": {"name": "look", "arguments": "{}"}}
USER = {"role": "user", "content": "hi"}
TOOL = {"role": "tool", "tool_call_id": "abcdefgh1", "content": "x"}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
SAID = {"role": "assistant", "content": "so"}


@pytest.mark.parametrize(
    ("messages", "who"),
    [
        ([USER, ASKED, TOOL, SAID, USER], ""),
        ([USER, ASKED, TOOL, USER], "Mistral"),
        ([USER, SAID], "Mistral"),
        ([USER, ASKED, USER], "OpenAI"),
        ([USER, {**ASKED, "tool_calls": [{**CALL, "id": "call_1"}]}], "Mistral"),
        ([USER, USER], "Anthropic"),
        ([SAID, USER], "Anthropic"),
        ([{"role": "user", "content": " "}], "Anthropic"),
        ([USER, SAID, ASKED, TOOL], "Gemini"),
        ([USER, {"role": "assistant", "content": None}, USER], "DeepSeek"),
        ([USER, ASKED, TOOL, ASKED, TOOL], "OpenAI"),
    ],
)
def test_the_strict_servers_see_what_is_wrong(messages: list[dict[str, Any]], who: str) -> None:
    found = complaints(messages)
    assert any(why.startswith(who) for why in found) if who else not found
