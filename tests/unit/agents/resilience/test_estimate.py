"""Guessing tokens, and learning from those who count."""

from __future__ import annotations

import pytest

from agents.base.messages import (
    AssistantMessage,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelRequest, ToolSpec
from agents.resilience import estimate
from agents.resilience.estimate import IMAGE_TOKENS, MESSAGE_TOKENS, Scale
from gateway.core.parts import File, Image, Text


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("", 0, 0),
        ("word " * 100, 100, 130),
        ("你好世界" * 50, 150, 300),
        ("Привет " * 100, 200, 500),
        ("🦊" * 100, 100, 300),
    ],
)
def test_a_guess_is_near_in_any_script(text: str, least: int, most: int) -> None:
    """A quarter of the characters would be four times too low for Chinese."""
    assert least <= estimate.of_text(text) <= most


def test_everything_that_is_sent_counts() -> None:
    request = ModelRequest(
        "m",
        "x" * 40,
        (
            UserMessage((Text("x" * 40), Image("data:"), File("n", "data:"))),
            AssistantMessage("x" * 40, (ToolCall("a", "look", "x" * 36),)),
            ToolMessage("a", "look", "x" * 40),
            SummaryMessage("x" * 40, 0),
        ),
        (ToolSpec("look", "x" * 40, "x" * 36),),
    )
    words = 10 + (10 + IMAGE_TOKENS + 1 + 4) + (10 + 1 + 9) + 10 + 10 + (1 + 10 + 9)
    assert estimate.of_request(request) == words + 5 * MESSAGE_TOKENS


def test_a_model_that_counts_more_is_learnt_from() -> None:
    scale = Scale()
    assert scale.learn(1000, 1500)
    assert scale.ratio == 1.5
    assert scale.learn(1000, 1000)
    assert 1 < scale.ratio < 1.5


def test_a_count_far_from_the_guess_is_not_believed() -> None:
    scale = Scale()
    scale.learn(10, 100_000)
    assert scale.ratio == estimate.MOST


def test_a_provider_that_does_not_count_changes_nothing() -> None:
    scale = Scale()
    assert scale.learn(1000, 0)
    assert scale == Scale()


def test_a_prompt_that_was_cut_in_silence_is_noticed_by_counts_that_stop_growing() -> None:
    scale = Scale()
    assert [scale.learn(n * 500, min(n * 500, 1500)) for n in range(1, 7)] == [True] * 5 + [False]
    assert scale.ratio > 0.9


def test_text_with_few_tokens_is_not_taken_for_a_prompt_that_was_cut() -> None:
    """Blanks and repetitions count little, wherever they stand."""
    scale = Scale()
    for guessed in (1000, 2000):
        assert scale.learn(guessed, guessed)
    assert scale.learn(10_000, 4000), "more than it ever counted"
    assert scale.learn(5000, 1500), "not much larger than what it counted in full"
    assert Scale().learn(10_000, 4000), "the first counts only tell how the model counts"


def test_a_count_below_any_window_is_another_way_to_count() -> None:
    scale = Scale()
    for guess in (600, 600, 3000):
        assert scale.learn(guess, 400)
