"""Model servers that fail, over real HTTP with time by hand: which key and which model is asked,
how often, after how long, and what a person gets to see."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from structlog.testing import capture_logs

from agents.failures import SENTENCES
from agents.models.profile import Profile
from gateway.core.clock import SystemClock
from gateway.core.errors import ModelAttempt, ModelFailed
from gateway.simulate.answers import Raw, Reply, document, refusal
from gateway.simulate.catalog import find
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer
from gateway.store.base.store import Unit
from gateway.store.postgres.opening import open_postgres
from gateway.turns.profile_state import StoredProfileState
from tests.support.database import fresh_url
from tests.support.failover import Failover, PatientClock, Shelf, WholeFailover, open_failover

LIMITED = refusal(429, {"message": "slow down"})
REVOKED = refusal(401, {"message": "Incorrect API key provided", "code": "invalid_api_key"})
BUSY = refusal(529, {"type": "overloaded_error", "message": "Overloaded"})

pytestmark = pytest.mark.timeout(20)


async def failure(failover: Failover, **wishes: object) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        await failover.ask(**wishes)  # type: ignore[arg-type]  # as `ask` takes them
    return raised.value


async def test_a_second_key_answers_at_once_and_later_turns_pay_nothing(tmp_path: Path) -> None:
    async with open_failover("k1", "k2", folder=tmp_path) as failover:
        failover.on("k1", LIMITED)
        reply = await failover.ask()
        assert (reply.text, reply.profile) == ("fine", "k2")
        assert failover.asked == ["k1/big", "k2/big"]
        assert [(tried.profile, tried.category, tried.why) for tried in reply.attempts] == [
            ("k1", "rate", "first"),
            ("k2", "", "k1/big: rate"),
        ]
        for session in ("s", "another"):
            await failover.ask(session=session)
        assert failover.asked[2:] == ["k2/big", "k2/big"]
        assert failover.passed == [0, 0, 0, 0]


async def test_a_single_limited_key_is_back_within_seconds() -> None:
    """Two, four, eight seconds: as long as a person waits."""
    async with open_failover("k1") as failover:
        failover.upstream.script.extend([LIMITED, LIMITED])
        reply = await failover.ask()
        assert reply.text == "fine"
        assert [tried.waited_ms // 1000 for tried in reply.attempts] == [0, 2, 4]


async def test_what_lasts_too_long_is_said_after_as_long_as_a_person_waits() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", LIMITED)
        error = await failure(failover)
        assert (error.category, failover.passed) == ("rate", [0, 2, 6, 14])
        assert error.retry_after_ms is not None


async def test_the_providers_wish_is_kept(tmp_path: Path) -> None:
    async with open_failover("k1", folder=tmp_path) as failover:
        failover.upstream.script.append(refusal(429, {"message": "no"}, retry_after="8"))
        await failover.ask()
        assert failover.clock.monotonic() == 8
        assert failover.asked == ["k1/big", "k1/big"]


async def test_a_fallback_model_answers_rather_than_a_person_waiting(tmp_path: Path) -> None:
    """S4: there is always an answer or an honest sentence, never "no profile available"."""
    async with open_failover("k1", folder=tmp_path) as failover:
        failover.on("k1", refusal(429, {"message": "no"}, retry_after="8"), model="big")
        reply = await failover.ask(fallbacks=("small",))
        assert (reply.text, failover.asked) == ("fine", ["k1/big", "k1/small"])
        assert reply.notice == "answered by small, because big is not available right now"
        assert (await failover.ask(fallbacks=("small",))).notice == ""
        assert failover.asked[2:] == ["k1/small"]


async def test_the_first_model_answers_again_when_its_pause_is_over(tmp_path: Path) -> None:
    """S3: a fallback is never the new first choice."""
    async with open_failover("k1", folder=tmp_path) as failover:
        failover.on("k1", LIMITED, model="big")
        await failover.ask(fallbacks=("small",))
        del failover.answers["k1", "big"]
        await failover.wait(5)
        reply = await failover.ask(fallbacks=("small",))
        assert failover.asked[-1] == "k1/big"
        assert reply.notice == "big answers again"


async def test_three_keys_fail_as_real_providers_do_and_the_first_comes_back(
    tmp_path: Path,
) -> None:
    """S3: who is asked for what after each failure, and when; each failure is one line of log."""
    clock = PatientClock()
    async with simulating(clock=clock) as server:
        urls = (server.base_url,) * 3
        keys = ("k1", "k2", "k3")
        async with open_failover(*keys, urls=urls, clock=clock, folder=tmp_path) as failover:

            async def turn(key: str, fault: str, line: str, **when: str) -> list[str]:
                """Who is asked once this key fails like this; nobody waits."""
                server.clear()
                server.set(fault, key=key, **when)
                asked, began = server.count, clock.monotonic()
                with capture_logs() as logs:
                    await failover.ask(fallbacks=("small",), session=f"{key} {fault}")
                assert clock.monotonic() == began
                assert [one["category"] for one in logs if "category" in one] == line.split()
                return [f"{one.key}/{one.model}" for one in server.asked][asked:]

            assert await turn("k1", "rate-limit-seconds", "rate") == ["k1/big", "k2/big"]
            assert await turn("k2", "auth", "auth") == ["k2/big", "k3/big"]
            # A key without money has none for the other model either; a limit is one model's.
            assert await turn("k3", "payment", "quota") == ["k3/big", "k1/small"]
            # The seven seconds of the first are over, and it breaks down.
            await failover.wait(7)
            assert await turn("k1", "server", "server", model="big") == ["k1/big", "k1/small"]
            await failover.wait(10)
            late = await turn("k1", "gateway-timeout", "timeout", model="big")
            assert late == ["k1/big", "k1/small"]
            # Pauses double with each failure in a row; then the first choice is asked first again.
            await failover.wait(100)
            assert await turn("k9", "server", "") == ["k1/small"]
            await failover.wait(30)
            assert await turn("k9", "server", "") == ["k1/big"]
            server.set("overflow", key="k1")
            asked = server.count
            error = await failure(failover, fallbacks=("small",))
            last = server.asked[-1]
            assert (error.category, error.window, server.count - asked) == ("overflow", 8192, 1)
            assert (last.key, last.model) == ("k1", "big"), "nobody else is asked"
            assert isinstance(failover, WholeFailover)
            assert failover.said == SENTENCES["overflow"]


async def test_two_of_three_keys_are_revoked_in_the_middle_of_a_conversation(
    tmp_path: Path,
) -> None:
    async with open_failover("k1", "k2", "k3", folder=tmp_path) as failover:
        await failover.ask()
        failover.on("k1", REVOKED)
        failover.on("k2", REVOKED)
        reply = await failover.ask()
        assert (reply.profile, reply.notice) == ("k3", "")
        assert failover.asked == ["k1/big", "k1/big", "k2/big", "k3/big"]
        await failover.ask()
        await failover.ask(session="new", fallbacks=("small",))
        assert failover.asked[4:] == ["k3/big", "k3/big"]
        assert failover.passed == [0] * 6


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/v1", "https://{plain}/v1", "http://no.invalid/v1"]
)
async def test_a_server_that_cannot_be_reached_is_left_for_the_next_key(url: str) -> None:
    """Nobody listens, nobody speaks TLS, nobody knows the name."""
    clock = PatientClock()
    async with simulating() as upstream:
        bad = url.format(plain=urlsplit(upstream.base_url).netloc)
        urls = (bad, upstream.base_url)
        async with open_failover("k1", "k2", urls=urls, clock=clock) as failover:
            with capture_logs() as logs:
                reply = await failover.ask()
    assert [(tried.profile, tried.model, tried.category) for tried in reply.attempts] == [
        ("k1", "big", "server"),
        ("k2", "big", ""),
    ]
    assert (reply.text, [call.key for call in upstream.asked]) == (
        "You said: hi",
        ["k2"],
    )
    assert [(line["event"], line["category"]) for line in logs] == [("model.failed_over", "server")]
    assert clock.monotonic() == 0


async def test_a_revoked_key_is_not_asked_for_another_model() -> None:
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", REVOKED)
        failover.on("k2", BUSY, model="big")
        reply = await failover.ask(fallbacks=("small",))
        assert (reply.profile, failover.asked) == ("k2", ["k1/big", "k2/big", "k2/small"])


async def test_a_dead_single_key_is_looked_at_once_in_five_seconds() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", REVOKED)
        for _ in range(3):
            assert (await failure(failover)).category == "auth"
        assert len(failover.asked) == 1
        await failover.clock.advance(5)
        await failure(failover)
        await failure(failover)
        assert len(failover.asked) == 2
        del failover.answers["k1", ""]
        await failover.clock.advance(5)
        assert (await failover.ask()).text == "fine"
        await failover.ask()
        assert len(failover.asked) == 4


async def test_what_was_learnt_of_the_keys_survives_a_restart() -> None:
    shelf = Shelf()
    async with open_failover("k1", "k2", state=shelf) as failover:
        failover.on("k1", REVOKED)
        await failover.ask()
        url = failover.upstream.base_url
    async with open_failover("k1", "k2", state=shelf) as failover:
        assert failover.upstream.base_url != url
        await failover.ask()
        assert failover.asked == ["k1/big"], "another address is another profile"
    clock = PatientClock()
    fixed = ("http://127.0.0.1:9/v1", "http://127.0.0.1:9/v1")
    async with open_failover("k1", "k2", state=shelf, urls=fixed, clock=clock) as failover:
        await failure(failover, patience_s=0)
    async with open_failover("k1", "k2", state=shelf, urls=fixed, clock=clock) as failover:
        assert (await failure(failover, patience_s=0)).attempts == ()


async def test_no_session_asks_a_dead_key_between_its_first_failure_and_its_probe() -> None:
    """Twenty conversations at once; then its pause of five minutes is over, and one asks."""
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", REVOKED)
        await failover.ask()

        async def at_once() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(failover.ask(session=f"s{number}"))

        await at_once()
        assert failover.asked.count("k1/big") == 1
        await failover.clock.advance(301)
        await at_once()
        assert failover.asked.count("k1/big") == 2


@pytest.mark.postgres
async def test_two_processes_on_one_database_share_what_they_learn_of_keys() -> None:
    """A gateway reads what others have learnt every two seconds; here by hand."""
    url, clock = await fresh_url(), PatientClock()
    stores = [await open_postgres(url, clock=SystemClock()) for _ in range(2)]
    address = ("http://127.0.0.1:9/v1",) * 2  # nobody is there, for both
    try:
        states = [StoredProfileState(store, clock) for store in stores]
        async with (
            open_failover("k1", "k2", state=states[0], urls=address, clock=clock) as one,
            open_failover("k1", "k2", state=states[1], urls=address, clock=clock) as other,
        ):
            assert len((await failure(one, patience_s=0)).attempts) == 2
            await stores[0].commit(Unit())  # behind what was posted
            await other.policy.keys.standings.load()
            assert (await failure(other, patience_s=0)).attempts == ()
            await clock.advance(1)
            one.policy.clear("k1")
            await stores[0].commit(Unit())
            await other.policy.keys.standings.load()
            tried = (await failure(other, patience_s=0)).attempts
            assert [attempt.profile for attempt in tried] == ["k1"]
    finally:
        for store in stores:
            await store.close()


async def test_a_provider_that_flaps_for_ten_minutes_is_bridged(tmp_path: Path) -> None:
    """Good for a minute, overloaded for a minute; a turn every half minute."""
    async with open_failover("k1", folder=tmp_path) as failover:
        for minute in range(10):
            failover.answers.clear()
            if minute % 2:
                failover.on("k1", BUSY, model="big")
            for _ in range(2):
                reply = await failover.ask(fallbacks=("small",))
                assert reply.text == "fine"
                assert len(reply.attempts) <= 2
                await failover.wait(30)
        assert failover.asked.count("k1/small") == 10
        assert failover.clock.monotonic() == 600


async def test_text_that_was_shown_is_taken_back_before_another_answer_begins() -> None:
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", find("cut"))
        reply = await failover.ask()
        assert (reply.text, failover.shown.text, failover.shown.restarts) == ("fine", "fine", 1)


async def test_an_answer_that_broke_off_is_asked_for_once_more() -> None:
    async with open_failover("k1") as failover:
        failover.upstream.script.append(find("no-finish"))
        assert (await failover.ask()).text == failover.shown.text == "fine"
        failover.upstream.script.extend([find("no-finish"), find("no-finish")])
        assert (await failure(failover)).category == "truncated"
        assert (len(failover.asked), failover.clock.monotonic()) == (4, 0)


async def test_an_empty_answer_is_asked_for_once_more_before_another_model_is() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", find("no-text"), model="big")
        assert (await failover.ask(fallbacks=("small",))).model == "small"
        assert failover.asked == ["k1/big", "k1/big", "k1/small"]


async def test_a_model_that_was_silent_once_keeps_the_turn() -> None:
    async with open_failover("k1", "k2") as failover:
        answers: list[Answer] = [find("no-text"), Reply("fine").render(1, "big", stream=True)]
        failover.upstream.answer = lambda call: answers[len(failover.upstream.asked) - 1]
        assert (await failover.ask()).text == "fine"
        assert failover.asked == ["k1/big", "k1/big"]


async def test_a_model_that_cannot_do_all_says_so_and_is_not_taken_for_one_that_cuts() -> None:
    """Its counts stop growing with its instructions, and that is no secret of its server."""

    def adjust(profile: Profile) -> Profile:
        if profile.name == "k1":
            return replace(profile, models=("big",))
        return replace(profile, models=("small",), tools=False, identity=100)

    async with open_failover("k1", "k2", adjust=adjust) as failover:
        failover.on("k1", REVOKED)
        choice = {"message": {"content": "fine"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 512, "completion_tokens": 1}
        failover.on("k2", document({"choices": [choice], "usage": usage}))
        notices = [
            (await failover.ask(fallbacks=("small",), text="x" * 2000 * size)).notice
            for size in range(1, 8)
        ]
    assert notices == [
        "answered by small, which cannot use tools and reads only the beginning of long "
        "instructions, because big is not available right now",
        *[""] * 6,
    ]
    assert failover.policy.keys.standings.learnt("k2", "small").window == 0


async def test_keys_that_take_turns_share_the_conversations() -> None:
    async with open_failover("k1", "k2", strategy="round_robin") as failover:
        for session in ("a", "b", "c", "a", "b"):
            await failover.ask(session=session)
        assert failover.asked == ["k1/big", "k2/big", "k1/big", "k1/big", "k2/big"]


async def test_an_answer_that_was_filtered_is_an_answer() -> None:
    """The turn makes a sentence of it; no other key would answer otherwise."""
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", find("content-filter"))
        assert (await failover.ask()).finish_reason == "content_filter"
        assert len(failover.asked) == 1


async def test_attempts_tell_what_was_tried() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", Raw((), 404, {}), model="big")
        reply = await failover.ask(fallbacks=("small",))
        first, second = reply.attempts
        assert first == ModelAttempt("k1", "big", "first", "not_found", 0, first.took_ms)
        assert second == ModelAttempt("k1", "small", "k1/big: not_found", "", 0, second.took_ms)


async def test_every_request_is_counted_by_how_it_ended() -> None:
    """What metrics are made of."""
    async with open_failover("k1", "k2") as failover:
        counted: list[tuple[str, str, int]] = []
        failover.policy.watch(
            lambda attempt, tokens, _: counted.append((attempt.profile, attempt.category, tokens))
        )
        failover.on("k1", LIMITED)
        await failover.ask()
        assert counted == [("k1", "rate", 0), ("k2", "", 5)]


async def test_a_prompt_is_not_made_smaller_for_a_model_that_would_not_answer_either() -> None:
    """A fallback with a small window, behind a key that is dead as well."""

    def adjust(profile: Profile) -> Profile:
        small = profile.name == "k2"
        return replace(profile, models=("small",), window=1000) if small else profile

    async with open_failover("k1", "k2", adjust=adjust) as failover:
        failover.on("k1", LIMITED, model="big")
        failover.on("k1", REVOKED, model="small")
        long = "word " * 2000
        refused = await failure(failover, fallbacks=("small",), text=long)
        assert (refused.category, refused.window) == ("overflow", 1000)
        failover.on("k2", REVOKED)
        assert (await failure(failover, fallbacks=("small",))).category != "overflow"
        assert (await failure(failover, fallbacks=("small",), text=long)).category != "overflow"


def left(requests: int, *, reset: str) -> Raw:
    """An answer whose headers say that so many of a hundred requests are left until then."""
    limits = {
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-requests": f"{requests}",
        "x-ratelimit-reset-requests": reset,
    }
    reply = Reply("fine").render(1, "big", stream=True)
    return replace(reply, headers={**reply.headers, **limits})


async def test_a_key_whose_limit_is_used_up_is_not_asked_until_it_is_back() -> None:
    """The refusal would have been known: no request is spent on it."""
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", left(0, reset="10s"))
        for _ in range(3):
            await failover.ask()
        shown = [(at.state, at.category) for one in failover.policy.seen() for at in one.models]
        assert shown == [("resting", "rate"), ("ready", "")], "operators see why"
        assert failover.asked == ["k1/big", "k2/big", "k2/big"]
        await failover.clock.advance(301)
        await failover.ask()
        assert failover.asked[3:] == ["k1/big"]


async def test_who_clears_a_key_has_its_limit_forgotten_too() -> None:
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", left(0, reset="10m"))
        for session in ("a", "b"):
            await failover.ask(session=session)
        failover.policy.clear("k1")
        await failover.ask(session="c")
        assert failover.asked == ["k1/big", "k2/big", "k1/big"]


async def test_background_work_leaves_people_their_share_however_far_its_end_is() -> None:
    """Nor does it look whether there is room: what it would take is the share itself."""
    async with open_failover("k1") as failover:
        failover.on("k1", left(20, reset="10m"))
        await failover.ask()
        for _ in range(3):
            assert (await failure(failover, patience_s=120)).category == "rate"
        assert len(failover.asked) == 1
        await failover.ask()
        await failover.clock.advance(600)
        await failover.ask(patience_s=120)
        assert len(failover.asked) == 3


async def test_what_is_left_is_held_against_a_prompt_as_its_model_counts() -> None:
    async with open_failover("k1", "k2") as failover:
        reply = Reply("fine", usage=(3000, 1)).render(1, "big", stream=True)
        limits = {"x-ratelimit-remaining-tokens": "2000", "x-ratelimit-reset-tokens": "10m"}
        failover.on("k1", replace(reply, headers={**reply.headers, **limits}))
        for _ in range(2):
            await failover.ask(text="word " * 800)
        assert failover.asked == ["k1/big", "k2/big"]


async def test_a_declared_limit_is_kept_where_the_server_says_nothing_of_it() -> None:
    """Two requests a minute at the first key, tokens for one answer at the second."""

    def adjust(profile: Profile) -> Profile:
        if profile.name == "k1":
            return replace(profile, requests_a_minute=2)
        return replace(profile, tokens_a_minute=1000)

    async with open_failover("k1", "k2", adjust=adjust) as failover:
        failover.on("k2", Reply("fine", usage=(10, 1000)).render(1, "big", stream=True))
        for session in ("a", "b", "c"):
            await failover.ask(session=session)
        assert (await failure(failover, session="d")).category == "rate"
        assert failover.asked == ["k1/big", "k1/big", "k2/big"]
        await failover.clock.advance(60)
        await failover.ask(session="d")
        assert failover.asked[3:] == ["k1/big"]
