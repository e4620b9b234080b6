"""Conversations that outgrow their model, in a whole gateway: paid once, bounded, usable after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from agents.base.messages import AssistantMessage, Messages, SummaryMessage, UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, Usage
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.resilience import shrinking
from agents.resilience.policy import Endpoint, Resilient
from agents.turn import SUMMARISED
from channels.memory import Gate
from gateway.core.errors import ModelFailed
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from gateway.simulate.answers import Reply, document, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import find
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer
from gateway.store.base.conversations import ListSessions
from gateway.store.base.inputs import EndInput
from gateway.turns.profile_state import StoredProfileState
from tests.support.house import MAIN, House, Notebook, open_house

LONG = "x" * 2000
"""Five hundred tokens."""


class Windowed:
    """A model with a window, counted as we guess; `gate` holds its answers, not its summaries."""

    def __init__(self, window: int, *, gate: Gate | None = None) -> None:
        self.window = window
        self.gate = gate
        self.summaries = 0
        self.answers = 0
        self.sizes: list[int] = []
        self.refusals = 0

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        tokens = request.guess
        if tokens > self.window:
            self.refusals += 1
            raise ModelFailed("overflow", "too long", window=self.window)
        if request.system == shrinking.SUMMARY_SYSTEM:
            self.summaries += 1
            return ModelReply("they said x", usage=Usage(tokens, 1))
        if self.gate is not None:
            await self.gate.passed()
        self.answers += 1
        self.sizes.append(tokens)
        return ModelReply("fine", usage=Usage(tokens, 1))

    async def close(self) -> None:
        """There is nothing to close."""


def counted(call: Asked, *, at_most: int = 1_000_000) -> Answer:
    """An answer whose provider counts as we guess."""
    tokens = sum(len(str(said["content"])) for said in call.messages) // 4
    usage = {"prompt_tokens": min(tokens, at_most), "completion_tokens": 1}
    choice = {"message": {"content": "fine"}, "finish_reason": "stop"}
    return document({"choices": [choice], "usage": usage})


async def test_a_conversation_goes_on_past_the_window(tmp_path: Path) -> None:
    model = Windowed(4000)
    seen: list[tuple[AgentId, Messages]] = []

    async def notes(agent_id: AgentId, session_key: str, beginning: Messages, /) -> None:
        seen.append((agent_id, beginning))

    house = House(tmp_path, model=model)
    house.compacting = notes
    async with open_house(house):
        for _ in range(20):
            assert await house.ask(LONG) == "fine"
        accepted = await house.say("hi")
        await house.idle()
        session = (await house.input(accepted.turn_id)).session_key
        transcript = await house.transcript(session)
        compacted = [event.data for event in await house.events() if event.kind == "turn.compacted"]
    assert 0 < model.summaries < 10
    assert len(compacted) == model.summaries
    assert orjson.loads(compacted[0])["messages"] >= 2
    assert len(seen) == model.summaries, "who keeps notes sees what a summary will stand for"
    agent_id, beginning = seen[0]
    assert (agent_id, beginning[0]) == (MAIN, UserMessage((Text(LONG),)))
    assert sum(isinstance(said, SummaryMessage) for said in transcript) == model.summaries
    assert len(transcript) == 42 + model.summaries, "originals stay"


async def test_a_summary_that_was_paid_for_is_not_paid_for_again(tmp_path: Path) -> None:
    """The process dies between the summary and the answer."""
    model = Windowed(4000)
    house = House(tmp_path, model=model)
    gate = Gate()
    async with open_house(house):
        while not model.summaries:
            gate = model.gate = Gate()
            await house.say(LONG)
            await gate.entered.wait()
            if not model.summaries:
                gate.release()
                await house.idle()
        await house.again()
        gate.release()
        await house.idle()
        assert house.seen()[-1].text == "fine"
    assert model.summaries == 1


async def test_a_summary_made_by_hand_survives_a_crash_and_holds_what_came_meanwhile(
    tmp_path: Path,
) -> None:
    """The process dies with the summary paid and nothing of the end written."""
    model = Windowed(100_000)
    house = House(tmp_path, model=model)
    async with open_house(house):
        for _ in range(6):
            await house.ask(LONG)
        (session,) = await house.store.read(ListSessions(10**15, "", 1))
        gate = house.store.hold_next(EndInput)
        asked = house.gateway.intake.summarise(session, RouteKey("memory", peer="ann"), "local")
        turn_id = await asked
        await gate.entered.wait()
        await house.say("and now?")
        await house.again()
        await house.idle()
        assert await house.state(turn_id) == "answered"
        transcript = await house.transcript(session.session_key)
        assert [message.text for message in house.seen()][-2:] == [SUMMARISED, "fine"]
        resumed = await house.events("turn.resumed", turn_id=turn_id)
        assert await house.ask("and then?") == "fine"
    assert (model.summaries, len(resumed)) == (1, 1)
    assert transcript[12:] == [
        SummaryMessage("they said x", 4),
        UserMessage((Text("and now?"),)),
        AssistantMessage("fine"),
    ]
    assert max(model.sizes[6:]) < model.sizes[5], "models see the summary from then on"


async def test_a_provider_that_always_says_overflow_leaves_the_session_usable(
    tmp_path: Path,
) -> None:
    """S5."""
    model = Windowed(100_000)
    house = House(tmp_path, model=model)
    async with open_house(house):
        for _ in range(6):
            await house.ask(LONG)
        model.window = 0
        said = await house.ask("more")
        assert said == "The conversation is too long for the model; start a new one."
        assert model.refusals <= 7
        model.window = 100_000
        assert await house.ask("and now?") == "fine"


async def test_a_fallback_with_half_the_window_gets_half_the_conversation(tmp_path: Path) -> None:
    """No call is wasted on what is known not to fit, and no tool is run again."""

    def reply(call: Asked) -> Answer:
        if call.model == "big" and limited:
            return refusal(429, {"message": "no"}, retry_after="600")
        return counted(call)

    limited = False
    async with simulating(answer=reply) as upstream:
        house = House(tmp_path, models=("big", "small"))
        big = Profile(upstream.base_url, "k1", "big", name="k1", models=("big",), window=8000)
        small = Profile(upstream.base_url, "k2", "big", name="k2", models=("small",), window=4000)
        endpoints = [Endpoint(profile, OpenAIModel(profile)) for profile in (big, small)]
        house.model = Resilient(endpoints, clock=house.clock)
        async with open_house(house):
            for _ in range(7):
                assert await house.ask(LONG) == "fine"
            limited = True
            answer = await house.ask("and now?")
        asked = [(call.key, call.model) for call in list(upstream.asked)[7:]]
    assert answer == "fine\n\n[answered by small, because big is not available right now]"
    assert asked == [("k1", "big"), ("k2", "small"), ("k2", "small")], "a summary, then the answer"


async def test_a_prompt_that_was_cut_in_silence_is_noticed_and_made_to_fit(tmp_path: Path) -> None:
    """Ollama answers from what is left; only its count tells."""

    def reply(call: Asked) -> Answer:
        return counted(call, at_most=1500)

    async with simulating(answer=reply) as upstream:
        house = House(tmp_path, models=("big",))
        profile = Profile(upstream.base_url, "", "big")
        house.model = Resilient([Endpoint(profile, OpenAIModel(profile))], clock=house.clock)
        async with open_house(house):
            answers = [await house.ask(LONG) for _ in range(10)]
    noticed = [place for place, said in enumerate(answers) if "read only part" in said]
    assert len(noticed) == 1
    sizes = [sum(len(str(said["content"])) for said in call.messages) for call in upstream.asked]
    assert max(sizes[noticed[0] + 1 :]) < 4 * 2200


async def test_tools_are_not_run_again_when_a_key_dies_between_two_rounds(tmp_path: Path) -> None:
    """P9: failover is at the model call, so the result of the tool stays."""
    tool = Notebook()

    def reply(call: Asked) -> Answer:
        results = [said for said in call.messages if said["role"] == "tool"]
        if call.key == "k1" and results:
            return find("auth")
        return "noted it" if results else Reply("", tool_calls=(("note", "{}"),))

    async with simulating(answer=reply) as upstream:
        house = House(tmp_path, tools=(tool,), models=("big",))
        profiles = [Profile(upstream.base_url, k, "big", name=k) for k in ("k1", "k2")]
        house.model = Resilient([Endpoint(p, OpenAIModel(p)) for p in profiles], clock=house.clock)
        async with open_house(house):
            assert await house.ask("note it") == "noted it"
            told = [
                event.data for event in await house.events() if event.kind == "turn.failed_over"
            ]
        assert [orjson.loads(data) for data in told] == [
            {"requests": 2, "category": "auth", "profile": "k2", "model": "big"}
        ]
        assert [call.key for call in upstream.asked] == ["k1", "k1", "k2"]
    assert len(tool.calls) == 1


async def test_a_turn_that_dies_between_failover_and_answer_asks_once_more_and_answers_once(
    tmp_path: Path,
) -> None:
    """Kill -9 while the second key is writing: one answer is seen, the dead key is left alone."""
    tool = Notebook()
    slow = True

    def reply(call: Asked) -> Answer:
        if call.key == "k1":
            return find("auth")
        results = [said for said in call.messages if said["role"] == "tool"]
        if not results:
            return Reply("", tool_calls=(("note", "{}"),))
        return find("silent-after-text") if slow else "noted it"

    async with simulating(answer=reply) as upstream:
        house = House(tmp_path, tools=(tool,), models=("big",))
        profiles = [Profile(upstream.base_url, k, "big", name=k) for k in ("k1", "k2")]

        def policy() -> Resilient:
            endpoints = [Endpoint(profile, OpenAIModel(profile)) for profile in profiles]
            return Resilient(
                endpoints, clock=house.clock, state=StoredProfileState(house.store, house.clock)
            )

        house.model = Later(policy)
        async with open_house(house):
            await house.say("note it")
            await upstream.wait_for(3)
            slow = False
            await house.again()
            await house.idle()
            assert [message.text for message in house.seen()] == ["noted it"]
        asked = [call.key for call in upstream.asked]
    assert asked == ["k1", "k2", "k2", "k2"]
    assert len(tool.calls) == 1


class Later:
    """A model made anew in each life, once its store is there."""

    def __init__(self, make: Callable[[], Resilient]) -> None:
        self._make = make
        self._model: Resilient | None = None

    async def open(self) -> None:
        """Make it."""
        self._model = self._make()
        await self._model.open()

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        assert self._model is not None
        return await self._model.complete(request, context)

    async def close(self) -> None:
        """Close what was made."""
        if self._model is not None:
            await self._model.close()
