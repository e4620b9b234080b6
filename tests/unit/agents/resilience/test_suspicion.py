"""Failures without a reason, by hand: what they speak against."""

from __future__ import annotations

from agents.base.profiles import HEALTHY
from agents.resilience.suspicion import EVIDENCE_MS, MAX_SESSIONS, Finding, Suspicions

NOW = 1_700_000_000_000
KEY = ("k1", "big")


def fail(suspicions: Suspicions, session: str, *, at_ms: int = NOW) -> Finding:
    return suspicions.failed(KEY, session, "server", now_ms=at_ms, began_ms=at_ms)


def test_one_session_alone_is_no_evidence_against_the_server() -> None:
    suspicions = Suspicions()
    assert [fail(suspicions, "a").against for _ in range(2)] == ["unclear", "unclear"]
    assert suspicions.of(KEY, "a").until_ms == NOW + 10_000
    assert suspicions.of(KEY, "b") == HEALTHY


def test_a_second_session_is_and_brings_the_failures_of_the_first() -> None:
    suspicions = Suspicions()
    fail(suspicions, "a", at_ms=NOW - 7)
    assert fail(suspicions, "b") == Finding("server", (("server", NOW - 7),))
    assert fail(suspicions, "c") == Finding("server"), "each failure counts once"


def test_who_fails_again_while_others_are_answered_is_at_fault() -> None:
    suspicions = Suspicions()
    fail(suspicions, "a")
    suspicions.answered(KEY, "b")
    assert fail(suspicions, "a") == Finding("request")
    assert suspicions.of(KEY, "a").until_ms == 0, "the next message is sent at once"
    assert fail(suspicions, "c").against == "server", "nothing was answered since"


def test_an_answer_clears_its_session_and_voids_the_evidence_of_others() -> None:
    suspicions = Suspicions()
    fail(suspicions, "a")
    suspicions.answered(KEY, "a")
    assert suspicions.of(KEY, "a") == HEALTHY
    fail(suspicions, "b")
    suspicions.answered(KEY, "a")
    assert fail(suspicions, "c") == Finding("unclear")


def test_failures_far_apart_are_two_events() -> None:
    suspicions = Suspicions()
    fail(suspicions, "a", at_ms=NOW - EVIDENCE_MS - 1)
    assert fail(suspicions, "b") == Finding("unclear")


def test_sessions_are_bounded_and_can_be_forgotten() -> None:
    suspicions = Suspicions()
    for number in range(MAX_SESSIONS + 1):
        fail(suspicions, f"s{number}")
    assert suspicions.of(KEY, "s0") == HEALTHY
    assert suspicions.of(KEY, "s1") != HEALTHY
    suspicions.forget("another")
    assert suspicions.of(KEY, "s1") != HEALTHY
    suspicions.forget("k1")
    assert suspicions.of(KEY, "s1") == HEALTHY
