"""Whose fault a failure is: what rests for whom, over real HTTP with time by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.base.profiles import LineUse
from agents.models.profile import Profile
from agents.resilience.giving_up import OWN_FAULT
from gateway.core.errors import ModelFailed
from gateway.core.parts import Image, Text
from gateway.simulate.answers import Raw, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import find
from tests.support.failover import Failover, open_failover

BROKEN = refusal(500, {"message": "Internal server error"})
STRANGE = refusal(400, {"message": "the stars are not right"})
GONE = refusal(400, {"message": "The model `big` has been decommissioned", "code": ""})
EMPTY = refusal(400, {"code": "Arrearage", "message": "Access denied.", "type": "Arrearage"})

pytestmark = pytest.mark.timeout(20)


async def failure(failover: Failover, session: str = "s", patience_s: float = 0) -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        await failover.ask(session=session, patience_s=patience_s)
    return raised.value


async def test_a_failure_without_a_reason_takes_the_model_from_its_session_only() -> None:
    async with open_failover("k1") as failover:
        failover.upstream.script.append(BROKEN)
        assert (await failure(failover, "a")).category == "server"
        assert (await failover.ask(session="b", patience_s=0)).text == "fine"
        assert len(failover.asked) == 2


async def test_two_sessions_that_meet_it_are_evidence_against_the_server() -> None:
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", BROKEN)
        for session in ("a", "b", "c"):
            assert (await failover.ask(session=session)).profile == "k2"
        assert failover.asked == ["k1/big", "k2/big", "k1/big", "k2/big", "k2/big"]


async def test_a_request_that_fails_again_while_others_are_answered_ends_with_a_sentence() -> None:
    async with open_failover("k1") as failover:
        failover.upstream.script.append(BROKEN)
        await failure(failover, "a")
        await failover.ask(session="b")
        await failover.wait(6)
        failover.upstream.script.append(BROKEN)
        error = await failure(failover, "a", patience_s=15)
        assert (error.category, error.told) == ("bad_request", OWN_FAULT)
        assert (await failover.ask(session="a", patience_s=0)).text == "fine", "not for good"
        assert (await failover.ask(session="b", patience_s=0)).text == "fine"


async def test_an_unknown_refusal_is_asked_of_another_model_once() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", STRANGE, model="big")
        reply = await failover.ask(fallbacks=("small", "tiny"))
        assert (reply.text, failover.asked) == ("fine", ["k1/big", "k1/small"])
        await failover.ask(fallbacks=("small",))
        assert failover.asked[2:] == ["k1/small"], "this session goes to who answered it"
        await failover.ask(fallbacks=("small",), session="b")
        await failover.ask(fallbacks=("small",), session="c")
        assert failover.asked[3:] == ["k1/big", "k1/small", "k1/small"], "two were evidence"


async def test_a_request_that_two_refuse_ends_with_the_words_of_the_first() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", STRANGE)
        failover.on("k1", refusal(400, {"message": "another reason"}), model="small")
        with pytest.raises(ModelFailed, match="stars") as raised:
            await failover.ask(fallbacks=("small", "tiny"))
        assert (raised.value.category, len(failover.asked)) == ("bad_request", 2)
        assert [one.state for info in failover.policy.seen() for one in info.models] == ["ready"]


async def test_another_key_of_the_same_server_would_refuse_it_too() -> None:
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", STRANGE)
        assert (await failure(failover)).category == "bad_request"
        assert failover.asked == ["k1/big"]


@pytest.mark.parametrize(("said", "model"), [(GONE, "small"), (EMPTY, "big")])
async def test_a_model_that_is_gone_and_an_account_that_is_empty_are_left_at_once(
    said: Raw, model: str
) -> None:
    """Both come with status 400, and later turns pay nothing."""
    async with open_failover("k1", "k2") as failover:
        failover.on("k1", said, model="big")
        failover.on("k2", GONE if model == "small" else "fine", model="big")
        for session in ("a", "b"):
            reply = await failover.ask(fallbacks=("small",), session=session)
            assert reply.text == "fine"
        assert failover.asked[-1].endswith(model)
        assert failover.asked.count("k1/big") == 1
        assert set(failover.passed) == {0}


async def test_a_timeout_says_nothing_while_the_same_profile_answers_another_call() -> None:
    """A server with one slot sends not one byte to those that queue."""
    async with open_failover("k1", "k2") as failover:
        failover.upstream.script.append(find("silent"))
        async with asyncio.TaskGroup() as group:
            group.create_task(failover.ask(session="a"))
            await failover.upstream.wait_for(1)
            await failover.ask(session="b")
        states = {info.name: info.models[0].state for info in failover.policy.seen()}
        assert states == {"k1": "ready", "k2": "ready"}


async def test_a_picture_that_breaks_the_server_does_not_end_a_conversation_for_good() -> None:
    """Nothing says that it is the picture, and no other session is there to compare with."""
    async with open_failover("k1") as failover:
        failover.upstream.answer = lambda asked: (
            BROKEN if "image_url" in str(asked.body["messages"]) else "fine"
        )
        said = UserMessage((Text("look"), Image("https://h/x.png")))
        context = ModelContext(failover.clock, lambda text: None, session="s")
        request = ModelRequest("big", "", (said,))
        reply = await failover.drive(failover.policy.complete(request, context))
        assert reply.text == "fine"
        assert [one.why for one in reply.attempts] == ["first", "again", "without these_images"]


async def test_ten_at_a_server_with_one_slot_are_answered_one_after_the_other() -> None:
    def adjust(profile: Profile) -> Profile:
        return replace(profile, simultaneous=1)

    places: dict[str, list[int]] = {}
    lines: list[LineUse] = []
    under_way = most = 0
    async with open_failover("k1", adjust=adjust) as failover:

        async def answer(asked: Asked) -> str:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(3):  # others would be sent now
                await asyncio.to_thread(int)
            lines.extend(failover.policy.lines())
            under_way -= 1
            return "fine"

        failover.upstream.answer = answer

        async def ask(session: str) -> None:
            request = ModelRequest("big", "", (UserMessage((Text(session),)),))
            told = places.setdefault(session, []).append
            context = ModelContext(failover.clock, lambda text: None, session=session, queued=told)
            reply = await failover.policy.complete(request, context)
            assert (reply.text, len(reply.attempts)) == ("fine", 1)

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(ask(f"s{number}"))
        asked = [one.body["messages"][-1]["content"] for one in failover.upstream.asked]
        assert asked == [f"s{number}" for number in range(10)], "in the order they came"
        assert most == 1
        assert places["s9"] == list(range(9, -1, -1))
        assert [line[1:] for line in lines] == [(1, 1, waiting) for waiting in range(9, -1, -1)]
        assert failover.policy.lines() == [LineUse("k1", 0, 1, 0)]
        assert failover.policy.seen()[0].models[0].state == "ready"


async def test_a_line_is_left_for_another_key_of_the_same_model() -> None:
    def adjust(profile: Profile) -> Profile:
        return replace(profile, simultaneous=1)

    async with open_failover("k1", "k2", adjust=adjust) as failover:
        failover.upstream.script.append(find("silent"))
        async with asyncio.TaskGroup() as group:
            group.create_task(failover.ask(session="a"))
            await failover.upstream.wait_for(1)
            assert (await failover.ask(session="b", fallbacks=("small",))).profile == "k2"
