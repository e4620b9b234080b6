"""Counts of tokens from outside: what no text could have counts for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.models import Usage
from agents.models.openai_usage import UNSEEN, Asked, read_usage

ASKED = Asked(size=4000, images=0, output=1000)


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": None}, Usage()),
        ({"prompt_tokens": 900, "completion_tokens": 80}, Usage(900, 80)),
        ({"input_tokens": 900, "output_tokens": 80}, Usage(900, 80)),
        ({"prompt_tokens": 900, "completion_tokens": 80, "total_tokens": 980}, Usage(900, 80)),
        ({"prompt_tokens": 900, "completion_tokens": 8, "total_tokens": 1400}, Usage(900, 500)),
        ({"prompt_tokens": 900, "completion_tokens": 80, "total_tokens": 2**70}, Usage(900, 80)),
        ({"total_tokens": 900}, Usage()),
    ],
)
def test_what_is_possible_is_believed(told: dict[str, Any], usage: Usage) -> None:
    """Google names what was thought in the total only."""
    assert read_usage(told, ASKED, 400) == (usage, "")


@pytest.mark.parametrize(
    "wrong", [-1, 2**63, 2**64, 10**30, 1e300, 3.0, True, "12", [], {}, 50_000]
)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_what_is_impossible_is_as_good_as_none(name: str, wrong: object) -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 10, name: wrong}
    usage, doubt = read_usage(told, ASKED, 400)
    assert usage == Usage()
    assert ("input" if name == "prompt_tokens" else "output") in doubt
    assert len(doubt) < 120


def test_images_and_thoughts_count_more_than_their_bytes() -> None:
    asked = Asked(size=100, images=2, output=1000)
    assert read_usage({"prompt_tokens": 30_000}, asked, 0)[0] == Usage(30_000)
    assert read_usage({"completion_tokens": 2000}, asked, 0)[0] == Usage(0, 2000)


@given(st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens"]),
    st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()),
))  # fmt: skip
def test_no_count_passes_what_the_text_could_be(told: dict[str, Any]) -> None:
    usage, _ = read_usage(told, ASKED, 400)
    assert 0 <= usage.input_tokens <= 4000 + UNSEEN
    assert 0 <= usage.output_tokens <= 2000 + 400 + UNSEEN
