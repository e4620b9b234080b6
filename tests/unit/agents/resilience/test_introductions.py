"""When servers are asked what they tell of themselves, without any server."""

from __future__ import annotations

import pytest

from agents.resilience.introductions import AGAIN_MS, Introductions
from gateway.core.errors import AttemptEnd, ModelAttempt


def ended(category: AttemptEnd, profile: str = "one") -> ModelAttempt:
    return ModelAttempt(profile, "m", "first", category)


@pytest.fixture
def asked() -> Introductions:
    """Two servers that were asked at the start, and told something."""
    introductions = Introductions(("one", "two"))
    assert introductions.due(0) == ["one", "two"]
    return introductions


def test_a_healthy_server_is_asked_once(asked: Introductions) -> None:
    for _ in range(20):
        asked.ended(ended(""))
    assert not asked.wanted.is_set()
    assert asked.due(AGAIN_MS * 100) == []


@pytest.mark.parametrize("category", ["server", "timeout", "overloaded", "not_found"])
def test_one_that_failed_is_asked_once_it_answers(
    asked: Introductions, category: AttemptEnd
) -> None:
    asked.ended(ended(category))
    assert not asked.wanted.is_set()
    asked.ended(ended("", "two"))
    assert not asked.wanted.is_set()
    asked.ended(ended(""))
    assert asked.wanted.is_set()
    assert asked.due(AGAIN_MS) == ["one"]
    assert not asked.wanted.is_set()


@pytest.mark.parametrize("category", ["rate", "auth", "bad_request", "overflow", "unfinished"])
def test_a_refusal_says_nothing_of_what_is_loaded(
    asked: Introductions, category: AttemptEnd
) -> None:
    asked.ended(ended(category))
    asked.ended(ended(""))
    assert asked.due(AGAIN_MS) == []


def test_one_that_told_nothing_is_asked_again_when_it_is_used(asked: Introductions) -> None:
    """It was not there at the start."""
    asked.silent("one")
    asked.ended(ended(""))
    assert asked.wanted.is_set()
    assert asked.due(AGAIN_MS) == ["one"]


def test_a_server_that_fails_again_and_again_is_asked_once_in_a_while(
    asked: Introductions,
) -> None:
    times = 0
    for now_ms in range(0, AGAIN_MS * 3, AGAIN_MS // 10):
        asked.ended(ended("server"))
        asked.ended(ended(""))
        times += len(asked.due(now_ms))
    assert times == 2


def test_a_profile_that_is_no_server_is_never_due(asked: Introductions) -> None:
    """The small model inside."""
    asked.ended(ended("server", "local"))
    assert asked.due(AGAIN_MS) == []


def test_a_cancelled_request_says_nothing_of_a_server_that_is_due(asked: Introductions) -> None:
    asked.silent("one")
    asked.ended(ended("unfinished"))
    assert not asked.wanted.is_set()
