"""Output is not prompt: what servers say of sizes, over real HTTP."""

from __future__ import annotations

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.resilience.answers import PROMPT_CUT
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.answers import Raw, document, refusal
from gateway.simulate.asked import Asked
from tests.support.failover import Failover, open_failover

WINDOW, OVERHEAD = 4096, 350
WORDS = {
    "older vLLM": "This model's maximum context length is {w} tokens. However, you requested {t} "
    "tokens ({n} in the messages, {m} in the completion). Please reduce the length of the "
    "messages or completion.",
    "vLLM 0.10": "'max_tokens' or 'max_completion_tokens' is too large: {m}. This model's maximum "
    "context length is {w} tokens and your request has {n} input tokens ({m} > {w} - {n}).",
    "vLLM 0.20": "This model's maximum context length is {w} tokens. However, you requested {m} "
    "output tokens and your prompt contains at least {n} input tokens, for a total of at least "
    "{t} tokens.",
    "no window told": "max_tokens must be at least 1, got {g}.",
}

pytestmark = pytest.mark.timeout(20)


async def ask(failover: Failover, text: str = "hi", *, session: str = "s") -> ModelReply:
    request = ModelRequest("big", "", (UserMessage((Text(text),)),))
    context = ModelContext(failover.clock, lambda text: None, session=session, patience_s=0)
    return await failover.drive(failover.policy.complete(request, context))


def asked_for(failover: Failover) -> list[int]:
    return [one.body["max_tokens"] for one in failover.upstream.asked]


@pytest.mark.parametrize("server", WORDS)
async def test_a_wish_that_does_not_fit_beside_the_prompt_is_clipped_at_once(server: str) -> None:
    async with open_failover("k1") as failover:

        def answer(asked: Asked) -> Raw | str:
            n, m = OVERHEAD, asked.body["max_tokens"]
            if n + m <= WINDOW:
                return "fine"
            said = WORDS[server].format(w=WINDOW, n=n, m=m, t=n + m, g=WINDOW - n - m)
            return refusal(400, {"message": said, "type": "BadRequestError", "code": 400})

        failover.upstream.answer = answer
        assert (await ask(failover)).text == "fine"
        assert asked_for(failover) == [4096, WINDOW - OVERHEAD]
        assert failover.policy.seen()[0].models[0].state == "ready"


async def test_the_largest_answer_there_is_is_learnt() -> None:
    async with open_failover("k1") as failover:
        said = "max_tokens is too large: 4096. This model supports at most 1000 completion tokens"
        failover.upstream.script.append(refusal(400, {"message": said, "param": "max_tokens"}))
        await ask(failover)
        await ask(failover)
        assert asked_for(failover) == [4096, 1000, 1000]
        assert failover.policy.seen()[0].models[0].output == 1000


async def test_an_answer_that_ends_in_a_full_window_says_so_and_teaches_it() -> None:
    """llama.cpp: prompt and answer together are the window."""
    async with open_failover("k1") as failover:
        choice = {"message": {"content": "half"}, "finish_reason": "length"}
        usage = {"prompt_tokens": 500, "completion_tokens": 12}
        failover.on("k1", document({"choices": [choice], "usage": usage}))
        assert (await ask(failover)).finish_reason == "window"
        assert failover.policy.keys.standings.learnt("k1", "big").window == 512


async def test_an_opaque_failure_of_the_longest_prompt_asks_for_a_shorter_one_once() -> None:
    async with open_failover("k1") as failover:
        await ask(failover)
        failover.upstream.answer = lambda asked: (
            refusal(400, {"message": "bad luck"}) if len(str(asked.body)) > 1000 else "fine"
        )
        ends: list[str] = []
        for _ in range(3):
            with pytest.raises(ModelFailed) as raised:
                await ask(failover, "x" * 2000)
            ends.append(raised.value.category)
        assert ends == ["bad_request", "overflow", "bad_request"]
        assert len(failover.asked) == 4


async def test_a_constant_count_does_not_switch_off_the_window() -> None:
    async with open_failover("k1") as failover:
        choice = {"message": {"content": "fine"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 1}
        failover.on("k1", document({"choices": [choice], "usage": usage}))
        for count in (1, 10, 100, 1000):
            reply = await ask(failover, "word " * count)
            assert reply.notice != PROMPT_CUT
        assert failover.policy.keys.scale("big").ratio >= 1.0
