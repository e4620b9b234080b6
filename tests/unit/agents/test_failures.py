from __future__ import annotations

from typing import get_args

import pytest

from agents import failures
from agents.base.effects import ModelFailure
from gateway.core.errors import ModelCategory


@pytest.mark.parametrize("category", get_args(ModelCategory))
def test_every_category_is_one_sentence_with_a_next_step(category: ModelCategory) -> None:
    said = failures.sentence(ModelFailure(category, "secret sk-123 from the provider"))
    assert "secret" not in said
    assert said.endswith(".")
    assert ". " not in said
    assert any(
        hint in said
        for hint in ("try again", "must", "send", "rephrase", "start a new", "finds the reason")
    )


@pytest.mark.parametrize(
    ("retry_after_ms", "says"),
    [
        (None, "try again in a moment"),
        (0, "try again in a moment"),
        (-5, "try again in a moment"),
        (1, "try again in 1 s"),
        (7000, "try again in 7 s"),
        (120_000, "try again in 120 s"),
        (121_000, "try again in 3 min"),
        (3_600_000, "try again in 60 min"),
    ],
)
def test_the_providers_hint_is_passed_on_rounded_up(retry_after_ms: int | None, says: str) -> None:
    assert says in failures.sentence(ModelFailure("rate", "", retry_after_ms))
