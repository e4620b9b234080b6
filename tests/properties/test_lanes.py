"""Whatever people do and whenever the process dies: each accepted message ends once, in its order.

Random histories on a whole gateway over one file. A kill takes every task at once; a cut ends the
process at a commit, before it is written or before anybody is told. Senders send again what they
have no acknowledgement for, as channels do.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.messages import UserMessage
from agents.base.tools import Effect
from agents.models.scripted import Call, Rule
from channels.base.messages import Accepted, Inbound, SourceClass
from channels.memory import Gate
from gateway.core.errors import Conflict
from gateway.core.ids import RunId, TurnId
from gateway.core.parts import Text
from gateway.runs.context import decision_key
from gateway.store.base.inputs import FindInput, InputRow
from gateway.store.base.runs import GetRun
from gateway.store.base.steps import LoadSteps
from tests.properties.examples import examples
from tests.support.house import House, Notebook, inbound

GATES = ("red", "blue")
ENDS = {
    "turn.completed",
    "turn.failed",
    "turn.cancelled",
    "input.expired",
    "input.cancelled",
    "input.merged",
}
SCRATCH = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where there is one, a folder in memory: a thousand synced commits are a minute of a slow disk."""
NEVER = 1_000_000
"""A commit no history gets to."""


@dataclass(frozen=True, slots=True)
class Say:
    """Somebody writes; `held` names the gate the answer waits at, `pays` calls an unsafe tool."""

    peer: str
    held: str = ""
    command: bool = False
    pays: bool = False
    cron: bool = False
    ages: bool = False


@dataclass(frozen=True, slots=True)
class Stop:
    """Somebody wants a turn to end: the n-th last that was acknowledged."""

    back: int


@dataclass(frozen=True, slots=True)
class Release:
    gate: str


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: int


@dataclass(frozen=True, slots=True)
class Kill:
    """Everything ends at once."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The process will end at its n-th commit from here."""

    commit: int
    written: bool


Deed = Say | Stop | Release | Wait | Kill | Cut

SAYS = st.builds(
    Say,
    peer=st.sampled_from(["ann", "bob"]),
    held=st.sampled_from(["", "", *GATES]),
    command=st.booleans(),
    cron=st.booleans(),
    ages=st.booleans(),
)
PLAIN = st.builds(Say, peer=st.just("ann"))
DEEDS = st.one_of(
    SAYS,
    PLAIN,
    st.builds(Say, peer=st.just("ann"), held=st.just("red")),
    st.builds(Say, peer=st.sampled_from(["ann", "bob"]), pays=st.just(True)),
    st.builds(Stop, st.integers(1, 4)),
    st.builds(Release, st.sampled_from(GATES)),
    st.builds(Wait, st.integers(1, 3)),
    st.just(Kill()),
    st.builds(Cut, st.integers(1, 12), st.booleans()),
)


class History:
    """Does the deeds, brings the gateway back whenever it has died, and looks at what is left."""

    def __init__(self, folder: Path) -> None:
        self.tool = Notebook("pay", Effect.UNSAFE, gate=Gate())
        rule = Rule("pays", "paid: {results}", (Call("pay"),))
        self.house = House(folder, rules=[rule], tools=[self.tool], lazy=True)
        self.said: list[Inbound] = []
        self.told: list[Accepted] = []

    async def happen(self, deeds: list[Deed]) -> None:
        await self.house.start()
        for deed in deeds:
            await self._do(deed)
        self.house.store.cut_at(NEVER, written=True)
        await self._finish()
        await self.check()
        await self.house.stop()
        assert not self.house.failures

    async def _do(self, deed: Deed) -> None:
        house = self.house
        match deed:
            case Say():
                await self._say(deed)
            case Stop(back):
                for accepted in self.told[-back:][:1]:
                    await self.house.while_alive(self._stop(accepted.turn_id))
            case Release(gate):
                house.release(gate)
            case Wait(seconds):
                await house.while_alive(house.wait(seconds))
            case Kill():
                house.store.cut()
            case Cut(commit, written):
                house.store.cut_at(commit, written=written)
        await house.quiet()
        await self._revive()

    async def _say(self, say: Say) -> None:
        number = len(self.said)
        words = [f"{'//' if say.command else ''}m{number}"]
        words += ["pays"] if say.pays else []
        words += [f"hold {say.held}"] if say.held else []
        message = replace(
            inbound(" ".join(words), peer=say.peer),
            external_id=f"e{number}",
            source=SourceClass.CRON if say.cron else SourceClass.PERSON,
            ttl_ms=2000 if say.ages else None,
        )
        self.said.append(message)
        while (accepted := await self.house.while_alive(self.house.send(message))) is None:
            await self._revive()
        self.told.append(accepted)

    async def _stop(self, turn_id: TurnId) -> None:
        try:
            await self.house.channel.cancel(turn_id)
        except Conflict:
            assert await self.house.state(turn_id) not in ("queued", "waiting")

    async def _revive(self) -> None:
        if self.house.store.dead.is_set():
            await self.house.again()
            await self.house.quiet()

    async def _finish(self) -> None:
        """Everything is released and decided; nothing is left that could still happen."""
        house = self.house
        assert self.tool.gate is not None
        self.tool.gate.release()
        house.release(*GATES)
        await house.quiet()
        # Deciding one turn may let the next one of its lane begin; none of those is cut.
        for accepted in self.told:
            if await house.state(accepted.turn_id) == "waiting":
                await self._decide(accepted.turn_id)
        await house.wait(3)
        await house.idle()

    async def _decide(self, turn_id: TurnId) -> None:
        for step in await self.house.store.read(LoadSteps(turn_id)):
            if step.status == "running" and step.effect == Effect.UNSAFE:
                key = decision_key(step.path, step.attempts)
                said = {"decision": "ran", "result": {"text": "it did"}}
                await self.house.gateway.engine.emit(RunId(turn_id), key, said)
        await self.house.quiet()

    # --- what must hold --------------------------------------------------------------------------

    async def check(self) -> None:
        rows = [await self._row(message) for message in self.said]
        assert [row.turn_id for row in rows] == [accepted.turn_id for accepted in self.told]
        await self._check_ends(rows)
        self._check_groups(rows)
        self._check_answers(rows)
        await self._check_transcripts(rows)
        assert len(self.house.gateway.lanes) == 0
        assert len(self.house.gateway.outbox) == 0
        made = Counter(key for _, key in self.tool.calls)
        assert max(made.values(), default=0) <= 1

    async def _row(self, message: Inbound) -> InputRow:
        """The one input that came of a message, however often it was sent."""
        find = FindInput("memory", "default", message.external_id)
        (row,) = await self.house.store.read(find)
        return row

    async def _check_ends(self, rows: list[InputRow]) -> None:
        """P1: exactly one terminal state, told once; a run only for those that began."""
        told = Counter(event.turn_id for event in await self.house.events() if event.kind in ENDS)
        assert told == {row.turn_id: 1 for row in rows}
        for row in rows:
            assert row.state in ("answered", "merged", "failed", "expired", "cancelled")
            for run in await self.house.store.read(GetRun(row.turn_id)):
                assert run.ended_at is not None
                assert row.state in ("answered", "failed", "cancelled")

    def _check_groups(self, rows: list[InputRow]) -> None:
        """Merged inputs are like their leading one and stand right behind it."""
        by_id = {row.turn_id: row for row in rows}
        groups: defaultdict[str, list[InputRow]] = defaultdict(list)
        for row in rows:
            if row.state == "merged":
                groups[row.merged_into].append(row)
        for lead_id, merged in groups.items():
            lead = by_id[lead_id]
            assert lead.state != "merged"
            assert not any(row.barrier for row in (lead, *merged))
            assert (
                len({(row.session_key, row.route_key, row.source) for row in (lead, *merged)}) == 1
            )
            between = [
                row
                for row in rows
                if row.session_key == lead.session_key
                and lead.ordinal < row.ordinal < merged[-1].ordinal
                and row.state not in ("expired", "cancelled")
            ]
            assert between == merged[:-1]

    def _check_answers(self, rows: list[InputRow]) -> None:
        """P2, P5: each turn that began is seen once, in the order of its conversation."""
        seen = [message.turn_id for message in self.house.seen()]
        assert max(Counter(seen).values(), default=0) <= 1
        began = {row.turn_id: row for row in rows if row.state in ("answered", "failed")}
        assert began.keys() <= set(seen)
        by_id = {row.turn_id: row for row in rows}
        assert {by_id[turn].state for turn in seen} <= {"answered", "failed", "cancelled"}
        for session in {row.session_key for row in rows}:
            order = [by_id[turn].ordinal for turn in seen if by_id[turn].session_key == session]
            assert order == sorted(order)

    async def _check_transcripts(self, rows: list[InputRow]) -> None:
        """What was answered was said once, in the order of acceptance."""
        for session in {row.session_key for row in rows}:
            said = [
                part.text.split()[0].lstrip("/")
                for message in await self.house.transcript(session)
                if isinstance(message, UserMessage)
                for part in message.parts
                if isinstance(part, Text)
            ]
            assert said == sorted(said, key=lambda name: int(name[1:]))
            assert len(set(said)) == len(said)
            answered = {
                f"m{number}"
                for number, row in enumerate(rows)
                if row.session_key == session and row.state == "answered"
            }
            assert answered <= set(said)


async def lived(deeds: list[Deed]) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        await History(Path(folder)).happen(deeds)


# Each example starts a gateway several times.
@pytest.mark.timeout(120)
@examples(12)
@given(st.lists(DEEDS, min_size=2, max_size=14))
def test_every_accepted_message_ends_once_and_in_order(deeds: list[Deed]) -> None:
    """P1, P2, P4, P5 and no lane left behind, for any history."""
    asyncio.run(lived(deeds), debug=True)


# One process for each commit of a history in which everything happens.
@pytest.mark.timeout(120)
@pytest.mark.parametrize("written", [True, False])
def test_every_commit_of_a_busy_minute_is_a_place_to_die(written: bool) -> None:
    """What random cuts may miss: accepting, claiming, merging, stopping, answering, sending."""
    minute: list[Deed] = [
        Say("ann", held="red"),
        Say("ann"),
        Say("ann"),
        Say("bob", pays=True),
        Stop(1),
        Say("ann", command=True),
        Release("red"),
        Say("ann", ages=True),
    ]

    async def each() -> None:
        for commit in range(1 + written, 32, 2):
            await lived([Cut(commit, written), *minute])

    asyncio.run(each(), debug=True)
