"""P1, P2, P7: nothing accepted is lost, nothing is seen twice, nobody waits for a dead owner."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.scripted import ScriptedModel
from channels.base.channel import Capabilities
from gateway.core.errors import Conflict, StoreLocked
from gateway.core.parts import text_of
from gateway.store.base.outbox import DeliveriesOfTurn
from gateway.store.sqlite.store import open_sqlite
from tests.acceptance.manifest import shows
from tests.support.house import House, inbound, open_house
from tests.support.patience import PATIENCE_S

FORGETFUL = Capabilities(dedupes=False)


class Remembering(ScriptedModel):
    """Answers with everything the person has said in the conversation."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        self.calls += 1
        said = [text_of(m.parts) for m in request.messages if isinstance(m, UserMessage)]
        return ModelReply(" | ".join(said))


@shows("accepted.survives", "locks.restart")
async def test_an_acknowledged_message_is_answered_by_whoever_runs_next(house: House) -> None:
    """Killed right after the acknowledgement; the next start answers without any time passing."""
    accepted = await house.say("hello")
    await house.again()
    await house.idle()
    assert await house.state(accepted.turn_id) == "answered"
    assert [message.turn_id for message in house.seen()] == [accepted.turn_id]


@shows("accepted.unacknowledged")
@pytest.mark.parametrize("written", [True, False])
async def test_a_message_sent_again_after_a_crash_is_one_message(
    house: House, written: bool
) -> None:
    """The sender cannot know whether it was accepted, and need not."""
    message = replace(inbound("hello"), external_id="m1", idempotency_key="k1")
    house.store.cut_at(1, written=written)
    assert await house.while_alive(house.send(message)) is None
    await house.again()
    accepted = await house.send(message)
    assert accepted.duplicate is written
    await house.idle()
    assert len(house.seen()) == 1
    assert len(await house.events("input.accepted")) == 1


@shows("accepted.ends")
async def test_a_sender_can_look_up_the_one_end_of_each_message(house: House) -> None:
    """Answered, merged, failed, cancelled or expired: by the turn's id, also after a restart."""
    told = {"failed": await house.say("fail auth", peer="bob")}
    told["answered"] = await house.say("hold a")
    await house.reached("a")
    told["cancelled"] = await house.say("//never mind")
    told["expired"] = await house.send(replace(inbound("//soon"), ttl_ms=1000))
    lead = await house.say("one")
    told["merged"] = await house.say("two")
    await house.channel.cancel(told["cancelled"].turn_id)
    await house.wait(2)
    house.release("a")
    await house.idle()
    await house.again()
    for state, accepted in told.items():
        given = await house.input(accepted.turn_id)
        assert given.state == state
        assert given.ended_at is not None
        with pytest.raises(Conflict):
            await house.channel.cancel(accepted.turn_id)
    assert (await house.input(told["merged"].turn_id)).merged_into == lead.turn_id


@shows("conversation.continues", "locks.restart")
async def test_a_conversation_goes_on_after_an_abrupt_stop(tmp_path: Path) -> None:
    """Everything said before is known after, whichever life it was said in."""
    async with open_house(House(tmp_path, model=Remembering())) as house:
        assert await house.ask("one") == "one"
        await house.again()
        assert await house.ask("two") == "one | two"
        accepted = await house.say("three")
        await house.again()
        await house.idle()
        assert house.seen()[-1].text == "one | two | three"
        assert len(await house.transcript(accepted.session)) == 6


@shows("reply.once")
async def test_a_reply_cut_while_it_was_sent_is_seen_once(house: House) -> None:
    """The receiver had it; nobody had noted that. It is sent again under the same key."""
    gate = house.channel.block_next(shown=True)
    accepted = await house.say("hello")
    await asyncio.wait_for(gate.entered.wait(), PATIENCE_S)
    await house.again()
    await house.idle()
    keys = [message.key for channel in house.channels for message in channel.sent]
    assert keys == [f"{accepted.turn_id}:1"] * 2
    assert len(house.seen()) == 1
    (row,) = await house.store.read(DeliveriesOfTurn(accepted.turn_id))
    assert (row.state, row.attempts) == ("sent", 2)


@shows("reply.doubt")
async def test_a_reply_in_doubt_is_said_to_be_in_doubt(tmp_path: Path) -> None:
    """This receiver cannot tell copies: nothing is resent, the log says why, the next one goes."""
    async with open_house(House(tmp_path, able=FORGETFUL)) as house:
        gate = house.channel.block_next(shown=True)
        accepted = await house.say("hello")
        await asyncio.wait_for(gate.entered.wait(), PATIENCE_S)
        await house.again()
        assert await house.ask("and now?") == "You said: and now?"
        assert len(house.seen()) == 2
        (row,) = await house.store.read(DeliveriesOfTurn(accepted.turn_id))
        assert row.state == "unknown"
        (event,) = await house.events("delivery.unknown")
        assert event.turn_id == accepted.turn_id


@shows("reply.waits")
async def test_a_reply_that_was_durable_leaves_after_the_restart(tmp_path: Path) -> None:
    """The process died between the end of the turn and the first attempt to send."""
    async with open_house(House(tmp_path, able=FORGETFUL)) as house:
        # Accepting, claiming, the snapshot, the model's answer, the end: then nothing more.
        house.store.cut_at(5, written=True)
        await house.while_alive(house.ask("hello"))
        await house.again()
        await house.idle()
        (message,) = house.seen()
        assert message.text.startswith("Hello!")
        assert house.patient.calls == 1


@shows("locks.second")
async def test_a_second_process_on_the_file_is_refused(house: House, tmp_path: Path) -> None:
    """It learns who has it; the first one does not notice."""
    with pytest.raises(StoreLocked):
        await open_sqlite(tmp_path / "turngate.db")
    assert await house.ask("still there?") == "You said: still there?"
