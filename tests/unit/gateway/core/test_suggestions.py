"""Hints for names that do not exist."""

from __future__ import annotations

from enum import StrEnum

import pytest

from gateway.core.suggestions import MAX_CHARS, did_you_mean, nearest


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["main", "luna"], "did you mean 'luna'?"),
        (["main", "luna", "lunn"], "did you mean 'lunn' or 'luna'?"),
        (["main", "sol"], "known: main, sol"),
        ([], "there is none at all"),
        (list("abcdefghijk"), "known: a, b, c, d, e, f, g, h and 3 more"),
    ],
)
def test_a_hint_is_the_nearest_word_or_else_the_known_ones(known: list[str], hint: str) -> None:
    """Never an empty hint, never a page of ids."""
    assert did_you_mean("lunna", known) == hint


def test_where_nothing_is_near_the_caller_may_say_where_to_look() -> None:
    """A list of 61 methods helps less than the name of the method that describes them."""
    assert did_you_mean("zebra", ["main"], otherwise="ask rpc.discover") == "ask rpc.discover"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("TURNGATE_PROT", ["turngate_port"]),
        ("port", ["turngate_port"]),
        ("Rate-Limit", ["rate_limit"]),
        ("rate_limits", ["rate_limit"]),
        ("zebra", []),
    ],
)
def test_spelling_counts_and_case_does_not(said: str, meant: list[str]) -> None:
    """What people type from memory: other case, a hyphen, without the prefix."""
    known = ["turngate_port", "llm_model", "rate_limit"]
    assert nearest(said, known, prefix="turngate_") == meant


def test_a_known_name_comes_in_its_own_spelling() -> None:
    """It is copied from the message into the next call."""
    assert nearest("gpt_4o", ["GPT-4o"]) == ["GPT-4o"]


def test_only_the_beginning_of_an_endless_name_is_compared() -> None:
    """Strangers choose the names; comparing costs the square of their length."""
    name = "send" + "x" * 100_000
    assert nearest(name, ["send" + "x" * (MAX_CHARS - 4)]) == ["send" + "x" * (MAX_CHARS - 4)]


def test_members_of_an_enumeration_are_shown_as_they_are_written() -> None:
    kinds = StrEnum("kinds", {"A": "turn.started", "B": "turn.ended"})
    assert did_you_mean("turn.start", kinds, count=1) == "did you mean 'turn.started'?"
