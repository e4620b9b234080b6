"""A request asked in another form, by hand."""

from __future__ import annotations

import pytest

from agents.base.messages import (
    AssistantMessage,
    Message,
    Opaque,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelRequest
from agents.models.profile import Profile
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from agents.resilience.rewording import Rewording
from gateway.core.errors import Blame, ModelCategory, ModelFailed
from gateway.core.parts import Image, Text

ONE = Candidate(Profile("http://h/v1", "k", "big", name="k1"), "big")


def asked(*, max_tokens: int = 4096, image: bool = False) -> ModelRequest:
    parts = (Text("hi"), Image("https://h/x.png")) if image else (Text("hi"),)
    return ModelRequest("big", "", (UserMessage(parts),), max_tokens=max_tokens)


def refused(blame: Blame, *, category: ModelCategory = "overflow", window: int = 0) -> ModelFailed:
    return ModelFailed(category, "no", window=window, blame=blame)


def next_output(
    error: ModelFailed, *, tokens: int = 350, able: Abilities | None = None
) -> int | None:
    """The wish for output in the next request to the same candidate; None without one."""
    able, request = able or Abilities(), asked()
    rewording = Rewording(request, lambda one: tokens)
    if rewording.after(ONE, able, error, rewording.fitted(ONE, able)) is None:
        return None
    return rewording.fitted(ONE, able).max_tokens


@pytest.mark.parametrize(
    ("error", "output"),
    [
        (refused(Blame("request", prompt=350, fits=3746), window=4096), 3746),
        (refused(Blame("request", output=1024, fits=1024), category="bad_request"), 1024),
        (refused(Blame("request", short_by=354)), 3742),
        (refused(Blame("request"), window=4096), 4096 - 385),
        (refused(Blame("request", prompt=4097), window=4096), None),
        (refused(Blame("request", prompt=4000, fits=96), window=4096), 96),
        (refused(Blame("request")), None),
        (refused(Blame("server"), category="server"), None),
    ],
)
def test_the_wish_for_output_is_clipped_before_the_prompt(
    error: ModelFailed, output: int | None
) -> None:
    assert next_output(error) == output


def test_what_leaves_no_answer_worth_the_name_is_for_a_shorter_prompt() -> None:
    error = refused(Blame("request", prompt=4000, fits=96), window=4096)
    assert next_output(error, able=Abilities(window=4096)) is None
    prompt_too_long = refused(Blame("request"), window=4096)
    assert next_output(prompt_too_long, tokens=5000) is None


def test_clipping_ends_after_two_tries() -> None:
    rewording = Rewording(asked(), lambda one: 350)
    for fits in (2000, 1000):
        sent = rewording.fitted(ONE, Abilities())
        assert rewording.after(ONE, Abilities(), refused(Blame("request", fits=fits)), sent)
    sent = rewording.fitted(ONE, Abilities())
    assert sent.max_tokens == 1000
    assert rewording.after(ONE, Abilities(), refused(Blame("request", fits=500)), sent) is None


def test_known_limits_are_kept_without_a_refusal() -> None:
    rewording = Rewording(asked(), lambda one: 1000)
    assert rewording.fitted(ONE, Abilities(output=512)).max_tokens == 512
    assert rewording.fitted(ONE, Abilities(window=4096)).max_tokens == 4096 - 1100
    assert rewording.fitted(ONE, Abilities(window=1100)).max_tokens == 275


def test_pictures_give_way_once() -> None:
    request = asked(image=True)
    rewording = Rewording(request, lambda one: 350)
    assert rewording.blinded(ONE, request) is not None
    sent = rewording.fitted(ONE, Abilities())
    assert "picture" not in str(sent.messages)
    assert not any(isinstance(part, Image) for part in sent.messages[0].parts)  # type: ignore[union-attr]  # a user's
    assert rewording.blinded(ONE, sent) is None


THOUGHT = Opaque("k1", "big", '{"reasoning_content": "so"}')


def after_calls(*thoughts: Opaque | None) -> ModelRequest:
    said: list[Message] = [UserMessage((Text("hi"),))]
    for number, thought in enumerate(thoughts):
        call = ToolCall(f"c{number}", "look", "{}")
        said += [AssistantMessage("", (call,), opaque=thought), ToolMessage(call.id, "look", "x")]
    return ModelRequest("big", "", tuple(said))


def why_again(request: ModelRequest, member: str, able: Abilities | None = None) -> str:
    """Why the same candidate is asked again after it refused this member; empty if it is not."""
    able, rewording = able or Abilities(), Rewording(request, lambda one: 1)
    error = refused(Blame("request", member=member), category="bad_request")
    again = rewording.after(ONE, able, error, rewording.fitted(ONE, able))
    if again is None:
        return ""
    sent = rewording.fitted(ONE, able)
    second = rewording.after(ONE, Abilities(lacks=frozenset({again.lacks})), error, sent)
    assert second is None or second.why != again.why
    return again.why


@pytest.mark.parametrize(
    ("thoughts", "member", "why"),
    [
        ((THOUGHT,), "thoughts", "without thoughts"),
        ((None,), "thoughts", ""),
        ((None,), "foreign_calls", "without foreign_calls"),
        ((THOUGHT, None), "foreign_calls", "without foreign_calls"),
        ((THOUGHT,), "foreign_calls", "without these_thoughts"),
        ((THOUGHT,), "these_thoughts", "without these_thoughts"),
        ((None,), "these_thoughts", ""),
    ],
)
def test_a_refusal_of_thoughts_says_how_to_ask_again(
    thoughts: tuple[Opaque | None, ...], member: str, why: str
) -> None:
    assert why_again(after_calls(*thoughts), member) == why
