"""What is known of keys and models: shared, kept, and forgotten when the key changes."""

from __future__ import annotations

from agents.base.profiles import HEALTHY, Kept, Learnt, Standing, Told
from agents.models.profile import Profile
from agents.resilience.standings import ANY_MODEL, Standings
from tests.support.failover import Shelf

NOW = 1_700_000_000_000
KEY = Profile("http://h/v1", "secret", "big", name="a")


def test_a_failure_of_the_key_counts_for_each_of_its_models() -> None:
    standings = Standings([KEY], Shelf())
    standings.failed("a", "big", "quota", now_ms=NOW)
    assert standings.of("a", "small").category == "quota"
    standings.succeeded("a", "small", now_ms=NOW)
    assert standings.of("a", "big").failures == 0


def test_a_failure_of_a_model_leaves_the_others_of_the_key() -> None:
    standings = Standings([KEY], Shelf())
    standings.failed("a", "big", "rate", now_ms=NOW)
    assert standings.of("a", "small") == HEALTHY
    standings.failed("a", "small", "auth", now_ms=NOW)
    assert standings.of("a", "big").category == "auth"


def test_the_longer_of_two_pauses_holds() -> None:
    standings = Standings([KEY], Shelf())
    standings.failed("a", "big", "auth", now_ms=NOW)
    standings.failed("a", "big", "rate", now_ms=NOW, hint_ms=3_600_000)
    assert standings.of("a", "big").category == "rate"


async def test_what_was_kept_is_taken_up_again() -> None:
    shelf = Shelf()
    before = Standings([KEY], shelf)
    before.failed("a", "big", "rate", now_ms=NOW)
    before.learn_window("a", "big", 4096, now_ms=NOW)
    after = Standings([KEY], shelf)
    await after.load()
    assert after.of("a", "big") == before.of("a", "big")
    assert after.learnt("a", "big").window == 4096


async def test_nothing_is_held_against_a_new_key() -> None:
    """The operator has replaced it: waiting out the old one's pause would be absurd."""
    shelf = Shelf()
    Standings([KEY], shelf).failed("a", "big", "auth", now_ms=NOW)
    fresh = Profile("http://h/v1", "another", "big", name="a")
    after = Standings([fresh], shelf)
    await after.load()
    assert after.all() == {}
    assert "secret" not in repr(shelf.kept)


async def test_what_another_process_learnt_later_is_taken_over_and_older_news_is_not() -> None:
    shelf = Shelf()
    here = Standings([KEY], shelf)
    here.failed("a", "big", "rate", now_ms=NOW)
    shelf.save(Kept("a", KEY.fingerprint, "big", Standing(ok_ms=NOW - 1)))
    await here.load()
    assert here.of("a", "big").failures == 1
    shelf.save(Kept("a", KEY.fingerprint, "big", Standing(ok_ms=NOW + 1)))
    await here.load()
    assert here.of("a", "big").failures == 0


def test_a_window_is_only_ever_learnt_downwards() -> None:
    standings = Standings([KEY], Shelf())
    for tokens in (8192, 4096, 16_384, 0):
        standings.learn_window("a", "big", tokens, now_ms=NOW)
    assert standings.learnt("a", "big").window == 4096


async def test_clearing_forgets_and_wakes_who_waits() -> None:
    shelf = Shelf()
    standings = Standings([KEY], shelf)
    standings.failed("a", "big", "auth", now_ms=NOW)
    waiting = standings.recovered
    assert standings.clear("b", now_ms=NOW) == 0
    assert standings.clear("a", now_ms=NOW) == 1
    assert waiting.is_set()
    assert standings.of("a", "big") == HEALTHY
    assert shelf.kept["a", ANY_MODEL].standing == Standing(ok_ms=NOW, learnt=Learnt(at_ms=NOW))


def test_a_healthy_answer_is_not_written_down() -> None:
    """It would be a write a call, for nothing."""
    shelf = Shelf()
    Standings([KEY], shelf).succeeded("a", "big", now_ms=NOW)
    assert shelf.kept == {}


async def test_what_was_learnt_without_a_failure_is_kept_too() -> None:
    shelf = Shelf()
    before = Standings([KEY], shelf)
    before.learn_lack("a", "big", "tools", now_ms=NOW)
    before.learn_lack("a", "big", "images", now_ms=NOW)
    before.learn_output("a", "big", 8192, now_ms=NOW)
    after = Standings([KEY], shelf)
    await after.load()
    assert after.learnt("a", "big") == Learnt(output=8192, lacks=("images", "tools"), at_ms=NOW)
    after.failed("a", "big", "rate", now_ms=NOW)
    after.succeeded("a", "big", now_ms=NOW)
    assert after.learnt("a", "big").lacks == ("images", "tools")


def test_what_a_server_says_of_itself_replaces_what_was_learnt() -> None:
    """It was started again with a larger window and a parser for tools."""
    standings = Standings([KEY], Shelf())
    standings.learn_window("a", "big", 4096, now_ms=NOW)
    standings.learn_lack("a", "big", "tools", now_ms=NOW)
    standings.learn_lack("a", "big", "stream_options", now_ms=NOW)
    told = Told("big", 8192, 2, (("tools", True), ("images", False)))
    standings.told("a", told, now_ms=NOW + 1)
    lacks = ("images", "stream_options")
    assert standings.learnt("a", "big") == Learnt(8192, 0, lacks, 2, NOW + 1)
    standings.told("a", told, now_ms=NOW + 2)
    assert standings.learnt("a", "big").at_ms == NOW + 1, "no news"
