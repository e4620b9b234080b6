"""A house whose conversations are looked at: what tests of lanes share."""

from __future__ import annotations

from dataclasses import replace

from agents.models.scripted import Call, Rule
from channels.base.messages import Accepted, Inbound, SourceClass
from channels.memory import Gate
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import DropRuns
from gateway.store.base.inputs import EndInput
from gateway.store.base.runs import EndRun, GetRun
from gateway.store.base.store import Unit
from tests.support.house import House, Notebook, inbound

PAY = Rule("pay", "done: {results}", (Call("pay"),))


def twelve_at_once(house: House) -> House:
    house.settings = house.settings.model_copy(update={"turngate_turns": 12})
    return house


def cron(text: str, *, peer: str) -> Inbound:
    return replace(inbound(text, peer=peer), source=SourceClass.CRON)


async def park(house: House, *, peer: str = "ann") -> Accepted:
    """A turn of this peer that waits for a decision."""
    (tool,) = house.tools
    assert isinstance(tool, Notebook)
    tool.gate = Gate()
    accepted = await house.say("pay bob", peer=peer)
    await house.quiet()
    assert tool.gate.entered.is_set()
    tool.gate = None
    await house.again()
    await house.quiet()
    assert await house.state(accepted.turn_id) == "waiting"
    return accepted


async def end_elsewhere(house: House, accepted: Accepted, how: str) -> None:
    """Somebody else ends or forgets the run that is executed here, with or without its input."""
    (run,) = await house.store.read(GetRun(accepted.turn_id))
    end_run = EndRun(run.run_id, run.epoch, "failed", "null", "elsewhere", 1)
    end_input = EndInput(run.run_id, "failed", "elsewhere", 1)
    ops: dict[str, tuple[Op, ...]] = {
        "whole": (end_run, end_input),
        "half": (end_run,),
        "forgotten": (DropRuns(run.session_key),),
    }
    await house.store.commit(Unit(ops[how]))
