"""The failure that is told when no candidate is left."""

from __future__ import annotations

from agents.base.profiles import HEALTHY, Standing
from agents.models.profile import Profile
from agents.resilience.choosing import Candidate
from agents.resilience.giving_up import Search, failure_of
from gateway.core.errors import ModelFailed

NOW = 1_700_000_000_000
A, B = (Candidate(Profile(f"http://{name}/v1", "k", "big", name=name), "big") for name in "ab")


def search(
    *failures: tuple[Candidate, ModelFailed],
    able: tuple[Candidate, ...] = (A, B),
    small: tuple[tuple[Candidate, int, int], ...] = (),
    resting: dict[str, Standing] | None = None,
) -> Search:
    standings = resting or {}

    def standing(one: Candidate) -> Standing:
        return standings.get(one.profile.name, HEALTHY)

    return Search("big", able, small, failures, (), standing, NOW, 15_000, 7)


def rests(category: str, seconds: int) -> Standing:
    return Standing(failures=1, category=category, until_ms=NOW + seconds * 1000)


def test_of_several_the_soonest_to_come_back_is_told() -> None:
    late, soon = ModelFailed("quota", "no money"), ModelFailed("rate", "slow down")
    resting = {"a": rests("quota", 300), "b": rests("rate", 5)}
    told = failure_of(search((A, late), (B, soon), resting=resting))
    assert (told.category, told.retry_after_ms) == ("rate", 7)


def test_a_prompt_too_long_for_all_that_are_ready_is_told_with_the_largest_window() -> None:
    told = failure_of(search(able=(), small=((A, 4096, 5000), (B, 8192, 9000))))
    assert (told.category, told.window, told.tokens) == ("overflow", 8192, 9000)


def test_without_a_single_request_the_pause_is_told() -> None:
    told = failure_of(search(resting={"a": rests("auth", 300), "b": rests("word", 5)}))
    assert (told.category, told.retry_after_ms) == ("server", 7)
    assert failure_of(search(able=())).category == "not_found"
