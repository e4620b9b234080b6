"""Guessing tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.base.messages import (
    AssistantMessage,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelRequest, ToolSpec
from agents.base.size import IMAGE_TOKENS, MESSAGE_TOKENS, of_text
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
    assert least <= of_text(text) <= most


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
    assert request.guess == words + 5 * MESSAGE_TOKENS


def test_it_is_worked_out_once_and_anew_for_another_request() -> None:
    """Every call is asked about by the ladder, the budget and the policy."""
    request = ModelRequest("m", "x" * 40, ())
    assert request.guess == 10
    object.__setattr__(request, "system", "")
    assert request.guess == 10
    assert replace(request, system="x" * 80).guess == 20
