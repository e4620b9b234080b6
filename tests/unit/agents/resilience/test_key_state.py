"""The owner of what is known of keys: no server, no loop."""

from __future__ import annotations

from agents.base.models import Left, ModelRequest
from agents.base.profiles import Forgetful
from agents.models.profile import Profile
from agents.resilience import cooldown
from agents.resilience.choosing import Candidate
from agents.resilience.key_state import KeyState

NOW = 1_000_000
REQUEST = ModelRequest("m", "answer shortly " * 20, ())


def keys(**limits: int) -> tuple[KeyState, Candidate]:
    profile = Profile("http://localhost/v1", "key", "m", name="k1", **limits)  # type: ignore[arg-type]  # all of these are numbers
    return KeyState([profile], Forgetful()), Candidate(profile, "m")


def test_a_key_whose_limit_is_used_up_rests_until_the_limit_ends() -> None:
    """As if its server had refused: no request is spent to find out."""
    known, one = keys(requests_a_minute=1)
    assert known.ready_ms(one, NOW) <= NOW
    known.leaving(one, 10, NOW)
    assert known.ready_ms(one, NOW) == NOW + 60_000
    standing = known.standing(one, now_ms=NOW)
    assert (standing.category, standing.failures) == ("rate", 1)
    assert known.ready_ms(one, NOW + 60_000) <= NOW + 60_000


def test_what_a_server_says_is_left_replaces_what_was_declared() -> None:
    """It knows of the requests of other programs under the same key."""
    known, one = keys(requests_a_minute=100)
    left = Left(0, 100, NOW + 5000, None, None, NOW + 5000)
    known.answered(one, "s", REQUEST, now_ms=NOW, left=left)
    assert known.ready_ms(one, NOW) == NOW + 5000


def test_a_request_to_a_key_that_failed_counts_as_its_probe() -> None:
    """Others wait for what comes of it, instead of probing too."""
    known, one = keys()
    known.standings.failed(*one.key, "server", now_ms=NOW - 2 * cooldown.PROBE_MS)
    known.leaving(one, 10, NOW)
    assert known.standings.of(*one.key).probed_ms == NOW
    known.answered(one, "s", REQUEST, now_ms=NOW, left=None)
    assert known.standings.of(*one.key).failures == 0


def test_processes_share_the_bound_of_a_line() -> None:
    """Each takes its part, and at least one request at a time."""
    known, one = keys(simultaneous=4)
    assert known.line(one).bound == 4
    known.processes = 2
    assert known.line(one).bound == 2
    known.processes = 9
    assert known.line(one).bound == 1
    assert [(use.profile, use.bound) for use in known.lines()] == [("k1", 1)]


def test_a_prompt_is_as_large_as_the_model_counts() -> None:
    """The guess times what its counts were by the guess so far."""
    known, one = keys()
    ratio = known.scale("m").ratio
    assert known.tokens(one, REQUEST) == round(REQUEST.guess * ratio) > 0


def test_clearing_ends_the_pauses_of_one_profile_or_of_all() -> None:
    """Limits included: the operator knows better."""
    known, one = keys(requests_a_minute=1)
    known.leaving(one, 10, NOW)
    known.standings.failed(*one.key, "server", now_ms=NOW)
    assert known.clear("other", now_ms=NOW) == 0
    assert known.ready_ms(one, NOW) > NOW
    assert known.clear("", now_ms=NOW) == 1
    assert known.ready_ms(one, NOW) <= NOW
