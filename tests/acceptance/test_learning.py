"""Servers that refuse a member of the request: asked once more without it, and remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.models.profile import Profile
from agents.resilience.plain import NO_TOOLS
from gateway.core.errors import ModelFailed
from gateway.core.parts import Image, Part, Text
from gateway.simulate.answers import Raw, refusal
from gateway.simulate.asked import Asked
from tests.support.failover import Failover, Shelf, open_failover

CLOCK = ToolSpec("clock", "the time", "{}")

pytestmark = pytest.mark.timeout(20)


async def ask(failover: Failover, *parts: Part, session: str = "s") -> ModelReply:
    said = UserMessage(parts or (Text("hi"),))
    request = ModelRequest("big", "Be brief.", (said,), (CLOCK,), temperature=0.2)
    context = ModelContext(failover.clock, lambda text: None, session=session, patience_s=0)
    return await failover.drive(failover.policy.complete(request, context))


def refuse(message: str, *, status: int = 400, **error: object) -> Raw:
    return refusal(status, {"message": message, **error})


def holds(body: Any, member: str) -> bool:
    match member:
        case "images":
            return "image_url" in str(body["messages"])
        case "system":
            return bool(body["messages"][0]["role"] == "system")
        case _:
            return bool(member in body)


REFUSALS = {
    "max_tokens": refuse(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        param="max_tokens",
        code="unsupported_parameter",
    ),
    "stream_options": Raw(
        (
            b'{"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], '
            b'"msg": "Extra inputs are not permitted"}]}',
        ),
        422,
        {"content-type": "application/json"},
    ),
    "temperature": refuse(
        "Unsupported value: 'temperature' does not support 0.2 with this model.",
        param="temperature",
        code="unsupported_value",
    ),
    "tools": refuse("registry.ollama.ai/library/gemma3:4b does not support tools"),
    "images": refuse("image input is not supported - you may need the mmproj", status=500),
    "system": refuse("System role not supported"),
}


@pytest.mark.parametrize("member", REFUSALS)
async def test_a_member_refused_by_name_is_left_out_in_the_same_turn_and_ever_after(
    member: str,
) -> None:
    shelf, parts = Shelf(), (Text("what is it?"), Image("https://h/x.png"))
    async with open_failover("k1", state=shelf) as failover:

        def answer(asked: Asked) -> Raw | str:
            return REFUSALS[member] if holds(asked.body, member) else "fine"

        failover.upstream.answer = answer
        with capture_logs() as logs:
            for session in ("s", "another"):
                assert (await ask(failover, *parts, session=session)).text == "fine"
        assert [holds(one.body, member) for one in failover.upstream.asked] == [True, False, False]
        assert [(one["event"], one["member"]) for one in logs] == [
            ("model.member_refused", member)
        ], "the operator is told once"
        last = failover.upstream.asked[-1].body
        assert "max_completion_tokens" in last or member != "max_tokens"
        assert member != "tools" or NO_TOOLS in last["messages"][0]["content"]
        info = failover.policy.seen()[0].models[0]
        assert (info.state, info.failures) == ("ready", 0)
        assert member in shelf.kept["k1", "big"].standing.learnt.lacks


async def test_several_members_may_be_refused_one_after_the_other() -> None:
    async with open_failover("k1") as failover:

        def answer(asked: Asked) -> Raw | str:
            return next((REFUSALS[one] for one in REFUSALS if holds(asked.body, one)), "fine")

        failover.upstream.answer = answer
        reply = await ask(failover, Text("what is it?"), Image("https://h/x.png"))
        assert [one.why for one in reply.attempts] == [
            "first",
            *(f"without {member}" for member in REFUSALS),
        ]


async def test_a_setting_that_says_it_is_taken_is_believed() -> None:
    def adjust(profile: Profile) -> Profile:
        return replace(profile, pinned=frozenset({"tools"}))

    async with open_failover("k1", adjust=adjust) as failover:
        failover.on("k1", REFUSALS["tools"])
        with pytest.raises(ModelFailed, match="does not support tools"):
            await ask(failover)
        assert len(failover.asked) == 1


async def test_a_broken_picture_says_nothing_about_the_model() -> None:
    async with open_failover("k1") as failover:

        def answer(asked: Asked) -> Raw | str:
            broken = "broken.png" in str(asked.body["messages"])
            return refuse("Could not process image") if broken else "fine"

        failover.upstream.answer = answer
        assert (await ask(failover, Image("https://h/broken.png"))).text == "fine"
        assert failover.policy.keys.standings.learnt("k1", "big").lacks == ()
        await ask(failover, Image("https://h/good.png"))
        assert holds(failover.upstream.asked[-1].body, "images")


async def test_what_nothing_can_do_without_ends_the_turn() -> None:
    async with open_failover("k1") as failover:
        failover.on("k1", refuse("Unknown parameter: 'messages'.", param="messages"))
        with pytest.raises(ModelFailed):
            await ask(failover)
        assert len(failover.asked) == 1
