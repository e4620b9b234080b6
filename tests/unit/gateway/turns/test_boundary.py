"""The end of a turn: what becomes durable together, in which order, and what the sender reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest

from agents.base import messages
from agents.base.effects import TurnResult
from agents.base.messages import (
    AssistantMessage,
    Message,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.summaries import WANTED
from channels.base.channel import Capabilities
from channels.memory import MemoryChannel
from gateway.core.clock import ManualClock
from gateway.core.ids import SequentialIds, seeded_chance
from gateway.core.parts import Text
from gateway.delivery.outbox import Outbox
from gateway.runs.task import Finish
from gateway.sessions.live import LiveSessions, Session
from gateway.store.base.conversations import EntryRow, LoadTranscript
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.inputs import GetInput, InputRow, MergeInput, StartInput
from gateway.store.base.outbox import DeliveriesOfTurn
from gateway.store.base.store import Durability, Store, Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.boundary import STOPPED, WORTH_REPEATING, Boundary
from tests.unit.gateway.turns.rows import SESSION, accepting, row

CALL = ToolCall("call_1", "note", "{}")
USED = (AssistantMessage("", (CALL,)), ToolMessage("call_1", "note", "noted"))
SENTENCE = "The model account has no credit left."


@dataclass(slots=True)
class Scene:
    """A claimed turn about to end, over a real store and an outbox that sends nothing yet."""

    store: Store
    session: Session
    boundary: Boundary
    outbox: Outbox
    channel: MemoryChannel
    inputs: tuple[InputRow, ...] = ()

    async def claim(self, *rows: InputRow) -> None:
        """What a lane has done before."""
        self.inputs = rows
        lead, *others = rows
        for given in rows:
            await self.store.commit(Unit(accepting(given)))
        merged = (MergeInput(other.turn_id, lead.turn_id, 1) for other in others)
        await self.store.commit(Unit((StartInput(lead.turn_id), *merged)))

    def build(self, result: TurnResult, *, quarantined: bool = False) -> Finish:
        return self.boundary.build(self.inputs, self.session, result, quarantined=quarantined)

    async def end(self, result: TurnResult) -> Finish:
        """Build the end and make it durable, as the engine does."""
        finish = self.build(result)
        await self.store.commit(Unit(finish.ops, finish.events, Durability.CRITICAL))
        assert finish.after is not None
        finish.after()
        return finish

    async def entries(self) -> list[EntryRow]:
        return await self.store.read(LoadTranscript(SESSION))

    async def transcript(self) -> list[Message]:
        return [messages.from_json(orjson.loads(row.body or "")) for row in await self.entries()]

    async def ended(self) -> EventRow:
        """The event of the turn's end."""
        rows = await self.store.read(ReadEvents(0, 10))
        (event,) = [row for row in rows if row.kind.startswith("turn.")]
        return event

    async def shown(self) -> list[str]:
        """What the sender reads, once everything has left."""
        await self.outbox.drained()
        return [message.text for message in self.channel.sent]


@pytest.fixture
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Parametrised, it has a destination with those capabilities."""
    able: Capabilities = getattr(request, "param", Capabilities())
    store = await open_sqlite(None)
    clock, ids = ManualClock(), SequentialIds()
    channel = MemoryChannel(capabilities=able)
    outbox = Outbox(store=store, clock=clock, ids=ids, chance=seeded_chance(1), channels=[channel])
    boundary = Boundary(clock=clock, ids=ids, outbox=outbox)
    async with LiveSessions(store, clock).using(SESSION) as session:
        yield Scene(store, session, boundary, outbox, channel)
    await store.close()


def user(text: str) -> UserMessage:
    return UserMessage((Text(text),))


async def test_an_answer_ends_everything_together(scene: Scene) -> None:
    """Transcript, outbox, event and input: whoever finds one of them finds all."""
    await scene.claim(row(1, "hi"))
    finish = await scene.end(TurnResult("answered", "hello", (AssistantMessage("hello"),)))
    assert (finish.status, finish.error) == ("completed", "")
    assert await scene.transcript() == [user("hi"), AssistantMessage("hello")]
    (given,) = await scene.store.read(GetInput("t_1"))
    assert (given.state, given.detail) == ("answered", "")
    (delivery,) = await scene.store.read(DeliveriesOfTurn("t_1"))
    event = await scene.ended()
    assert (event.kind, event.turn_id, event.session_key) == ("turn.completed", "t_1", SESSION)
    assert orjson.loads(event.data) == {"delivery_key": delivery.key}
    assert event.content_id == delivery.content_id == (await scene.entries())[1].content_id
    assert await scene.shown() == ["hello"]


async def test_asking_for_a_summary_is_nothing_that_was_said(scene: Scene) -> None:
    """Neither in the transcript nor in memory; the summary is."""
    wanted = orjson.dumps(messages.to_json(WANTED)).decode()
    await scene.claim(row(1)._replace(body=wanted))
    await scene.end(TurnResult("answered", "done", (SummaryMessage("in short", 4),)))
    assert await scene.transcript() == scene.session.history == [SummaryMessage("in short", 4)]
    assert (scene.session.revision, await scene.shown()) == (1, ["done"])


async def test_entries_follow_the_conversation_in_the_order_of_saying(scene: Scene) -> None:
    """What was said, then what the agent did, then its answer; positions without a gap."""
    for number in (1, 2):
        await scene.claim(row(number, f"question {number}"))
        answer = AssistantMessage(f"answer {number}")
        await scene.end(TurnResult("answered", answer.text, (*USED, answer)))
    said = [user("question 1"), *USED, AssistantMessage("answer 1")]
    said += [user("question 2"), *USED, AssistantMessage("answer 2")]
    assert await scene.transcript() == said
    assert [entry.position for entry in await scene.entries()] == list(range(8))
    assert {entry.turn_id for entry in (await scene.entries())[:4]} == {"t_1"}


async def test_memory_and_store_agree_after_an_end(scene: Scene) -> None:
    """The next turn starts from memory; a restart would start from the store."""
    await scene.claim(row(1, "one"), row(2, "two"))
    await scene.end(TurnResult("answered", "both", (*USED, AssistantMessage("both"))))
    assert scene.session.history == await scene.transcript()
    assert scene.session.revision == len(await scene.entries())


async def test_building_an_end_changes_nothing(scene: Scene) -> None:
    """Only a unit that holds does: it may still be refused."""
    await scene.claim(row(1, "hi"))
    scene.build(TurnResult("answered", "hello", (AssistantMessage("hello"),)))
    assert (scene.session.history, scene.session.revision) == ([], 0)
    assert await scene.entries() == []
    assert await scene.shown() == []


async def test_merged_messages_are_all_said_and_answered_once(scene: Scene) -> None:
    """The leading one carries the end; the others were ended when they merged."""
    await scene.claim(row(1, "one"), row(2, "two"))
    await scene.end(TurnResult("answered", "both", (AssistantMessage("both"),)))
    assert await scene.transcript() == [user("one"), user("two"), AssistantMessage("both")]
    rows = [(await scene.store.read(GetInput(turn)))[0] for turn in ("t_1", "t_2")]
    assert [given.state for given in rows] == ["answered", "merged"]
    assert await scene.shown() == ["both"]


async def test_a_failures_sentence_is_for_the_sender_alone(scene: Scene) -> None:
    """The next model call must not read it as something the agent said; what tools did stays."""
    await scene.claim(row(1, "hi"))
    finish = await scene.end(TurnResult("failed", SENTENCE, USED, "quota"))
    assert (finish.status, finish.error) == ("failed", "quota")
    assert await scene.transcript() == [user("hi"), *USED]
    assert await scene.shown() == [SENTENCE]
    (given,) = await scene.store.read(GetInput("t_1"))
    assert (given.state, given.detail) == ("failed", "quota")
    event = await scene.ended()
    assert event.kind == "turn.failed"
    assert orjson.loads(event.data) == {"delivery_key": "t_1:1", "kind": "quota"}
    assert orjson.loads(event.body or "") == {"text": SENTENCE}


@pytest.mark.parametrize("kind", sorted(WORTH_REPEATING))
async def test_a_failure_that_has_nothing_to_do_with_the_message_keeps_it(
    scene: Scene, kind: str
) -> None:
    """It is answered together with the next one."""
    await scene.claim(row(1, "hi"))
    await scene.end(TurnResult("failed", SENTENCE, USED, kind))
    assert await scene.transcript() == scene.session.history == [user("hi"), *USED]


@pytest.mark.parametrize("kind", ["overflow", "filtered", "bad_request", "internal", "tool_rounds"])
async def test_a_message_that_would_fail_again_leaves_the_conversation_as_it_was(
    scene: Scene, kind: str
) -> None:
    """Otherwise it would poison every later turn; its sender is told, and it is in the log."""
    await scene.claim(row(1, "hi"))
    await scene.end(TurnResult("failed", SENTENCE, USED, kind))
    assert await scene.transcript() == scene.session.history == []
    assert scene.session.revision == 0
    assert await scene.shown() == [SENTENCE]
    await scene.claim(row(2, "next"))
    await scene.end(TurnResult("answered", "hello", (AssistantMessage("hello"),)))
    assert await scene.transcript() == [user("next"), AssistantMessage("hello")]


async def test_a_stopped_answer_is_marked_for_both(scene: Scene) -> None:
    """The sender does not take half an answer for a whole one; neither does the next turn."""
    await scene.claim(row(1, "hi"))
    partial = AssistantMessage("Once upon a", partial=True)
    finish = await scene.end(TurnResult("cancelled", "Once upon a", (partial,)))
    assert finish.status == "cancelled"
    assert await scene.transcript() == [user("hi"), partial]
    assert await scene.shown() == [f"Once upon a\n\n{STOPPED}"]
    event = await scene.ended()
    assert event.kind == "turn.cancelled"


@pytest.mark.parametrize("text", ["", " \n"])
async def test_a_turn_stopped_before_its_first_word_says_so(scene: Scene, text: str) -> None:
    """P6: never silence, also for who has just said stop."""
    await scene.claim(row(1, "hi"))
    await scene.end(TurnResult("cancelled", text))
    assert await scene.transcript() == [user("hi")]
    assert await scene.shown() == [STOPPED]


async def test_what_only_the_sender_is_told_about_an_answer_is_not_in_the_transcript(
    scene: Scene,
) -> None:
    """The remark that an answer was cut at its limit, for instance."""
    await scene.claim(row(1, "hi"))
    answer = AssistantMessage("half")
    await scene.end(TurnResult("answered", "half\n\n[cut off]", (answer,)))
    assert await scene.transcript() == [user("hi"), answer]
    assert await scene.shown() == ["half\n\n[cut off]"]


async def test_an_earlier_message_with_the_same_words_is_not_taken_for_the_answer(
    scene: Scene,
) -> None:
    """Deleting one of them must not blank the other."""
    await scene.claim(row(1, "hi"))
    said = (AssistantMessage("done", (CALL,)), USED[1], AssistantMessage("done"))
    await scene.end(TurnResult("answered", "done", said))
    (delivery,) = await scene.store.read(DeliveriesOfTurn("t_1"))
    assert delivery.content_id == (await scene.entries())[-1].content_id


async def test_a_deleted_message_keeps_its_place(scene: Scene) -> None:
    """Its turn may end as a failure; positions and memory still agree."""
    await scene.claim(row(1, "hi"))
    scene.inputs = tuple(given._replace(body=None) for given in scene.inputs)
    await scene.end(TurnResult("failed", SENTENCE, kind="not_found"))
    assert len(await scene.entries()) == scene.session.revision == 1
    assert scene.session.history == [UserMessage(())]


async def test_a_quarantined_turn_ends_as_such(scene: Scene) -> None:
    """The run says that it was given up; the sender gets a sentence like for any failure."""
    await scene.claim(row(1, "hi"))
    result = TurnResult("failed", SENTENCE, kind="run_quarantined")
    assert scene.build(result, quarantined=True).status == "quarantined"


@pytest.mark.parametrize("scene", [Capabilities(limit=8)], indirect=True)
async def test_a_long_answer_leaves_in_pieces_and_stays_whole_in_the_transcript(
    scene: Scene,
) -> None:
    """Pieces are the destination's business; the event names the first and holds the whole."""
    await scene.claim(row(1, "hi"))
    answer = AssistantMessage("one two three")
    await scene.end(TurnResult("answered", answer.text, (answer,)))
    assert await scene.shown() == ["one two", "three"]
    assert await scene.transcript() == [user("hi"), answer]
    event = await scene.ended()
    assert orjson.loads(event.data) == {"delivery_key": "t_1:1"}
    assert "one two three" in (event.body or "")
