"""Who is asked next, by hand: no loop, no clock, no model."""

from __future__ import annotations

from collections.abc import Sequence

from agents.base.profiles import HEALTHY, Standing
from agents.models.profile import Profile
from agents.resilience import choosing, cooldown
from agents.resilience.choosing import Candidate, Choice, Nobody, Tried
from gateway.core.errors import ModelCategory

NOW = 1_700_000_000_000


def profile(name: str, *, host: str = "", models: tuple[str, ...] = ()) -> Profile:
    return Profile(f"http://{host or name}/v1", "k", "big", name=name, models=models)


A, B, C = profile("a"), profile("b"), profile("c")


def names(found: Sequence[Candidate]) -> list[str]:
    return [f"{one.profile.name}/{one.model}" for one in found]


class Choosing:
    """One search over candidates with standings decided beforehand."""

    def __init__(self, *able: Candidate, patience_ms: int = 15_000) -> None:
        self.able = able
        self.standings: dict[tuple[str, str], Standing] = {}
        self.tried = Tried()
        self.patience_ms = patience_ms

    def rest(self, one: Candidate, category: ModelCategory, *, ago_ms: int = 0) -> None:
        before = self.standings.get(one.key, HEALTHY)
        self.standings[one.key] = cooldown.failed(before, category, now_ms=NOW - ago_ms)

    def fail(self, one: Candidate, category: ModelCategory) -> None:
        self.rest(one, category)
        self.tried.note(one, category)

    def choose(self) -> Choice | Nobody:
        return choosing.choose(
            self.able,
            lambda one: self.standings.get(one.key, HEALTHY),
            self.tried,
            now_ms=NOW,
            patience_ms=self.patience_ms,
        )

    def chosen(self) -> str:
        choice = self.choose()
        assert isinstance(choice, Choice)
        return f"{choice.candidate.profile.name}/{choice.candidate.model}"


def test_models_come_before_keys() -> None:
    found = choosing.candidates(("big", "small"), (A, B))
    assert names(found) == ["a/big", "b/big", "a/small", "b/small"]


def test_a_key_is_asked_only_for_models_its_server_has() -> None:
    found = choosing.candidates(("big", "small"), (A, profile("b", models=("small",))))
    assert names(found) == ["a/big", "a/small", "b/small"]


def test_keys_that_take_turns_start_elsewhere_each_time() -> None:
    assert names(choosing.candidates(("big",), (A, B, C), turn=4)) == ["b/big", "c/big", "a/big"]


def test_a_conversation_stays_where_it_is_cached_but_not_at_a_fallback() -> None:
    found = choosing.candidates(("big", "small"), (A, B), warm=("b", "big"))
    assert names(found) == ["b/big", "a/big", "a/small", "b/small"]
    found = choosing.candidates(("big", "small"), (A, B), warm=("b", "small"))
    assert names(found) == ["a/big", "b/big", "b/small", "a/small"]


def test_the_first_that_does_not_rest_is_asked() -> None:
    one, two = Candidate(A, "big"), Candidate(B, "big")
    search = Choosing(one, two)
    assert search.choose() == Choice(one, 0, "first")
    search.rest(one, "rate")
    assert search.choose() == Choice(two, 0, "a/big: rate")


def test_when_all_rest_the_first_to_come_back_is_waited_for() -> None:
    one, two = Candidate(A, "big"), Candidate(B, "big")
    search = Choosing(one, two)
    search.fail(one, "auth")
    search.fail(two, "rate")
    assert search.choose() == Choice(two, 5000, "waited")


def test_what_takes_too_long_is_not_waited_for() -> None:
    one = Candidate(A, "big")
    search = Choosing(one)
    search.fail(one, "timeout")
    assert search.choose() == Nobody(30_000)


def test_a_dead_key_is_looked_at_once_in_five_seconds() -> None:
    one = Candidate(A, "big")
    search = Choosing(one)
    search.rest(one, "auth", ago_ms=4000)
    assert search.choose() == Nobody(296_000)
    search.standings.clear()
    search.rest(one, "auth", ago_ms=5000)
    assert search.choose() == Choice(one, 0, "probe")


def test_an_overloaded_model_is_not_asked_for_with_another_key_of_the_same_server() -> None:
    """The keys share the machines; the other model has its own."""
    keys = profile("a", host="h"), profile("b", host="h")
    search = Choosing(*choosing.candidates(("big", "small"), keys))
    search.fail(search.able[0], "overloaded")
    assert search.chosen() == "a/small"
    search.fail(search.able[2], "overloaded")
    assert search.chosen() == "b/big"


def test_after_a_server_that_broke_down_another_server_is_asked_first() -> None:
    keys = profile("a", host="h"), profile("b", host="h"), profile("c", host="other")
    search = Choosing(*choosing.candidates(("big",), keys))
    search.fail(search.able[0], "timeout")
    assert search.chosen() == "c/big"


def test_an_answer_that_broke_off_is_asked_for_once_more() -> None:
    """It says nothing about the key, so no pause bounds the requests: a count does."""
    one = Candidate(A, "big")
    search = Choosing(one)
    search.fail(one, "truncated")
    assert search.choose() == Choice(one, 0, "again")
    search.fail(one, "truncated")
    assert search.choose() == Nobody(0)


def test_an_answer_that_broke_off_is_asked_for_elsewhere_first() -> None:
    one, two = Candidate(A, "big"), Candidate(B, "big")
    search = Choosing(one, two)
    search.fail(one, "bad_response")
    assert search.choose() == Choice(two, 0, "a/big: bad_response")


def test_without_candidates_there_is_nobody() -> None:
    assert Choosing().choose() == Nobody(0)


def test_no_server_is_asked_for_the_local_model() -> None:
    """It would only say that it does not know it, and cost a request."""
    inside = profile("local", models=("local",))
    assert names(choosing.candidates(("big", "local"), (A, inside))) == ["a/big", "local/local"]
