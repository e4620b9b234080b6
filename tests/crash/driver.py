"""Drives a gateway through many lives under load, and counts from outside.

The simulated model numbers its answers and remembers in which life it was asked what, so a model
call that was on record when a process died and is made again by the next one cannot hide.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from tests.crash import invariants
from tests.crash.ledger import Ledger
from tests.crash.life import READY_S, Life

PEERS = 8
UNACKNOWLEDGED = 16
"""Most messages sent ahead of their acknowledgement."""

_ID = re.compile(r"\[(p\d+-\d+)\]")


@dataclass(slots=True)
class Report:
    """What a test looks at."""

    lives: int = 0
    acknowledged: int = 0
    shown: int = 0
    resent: int = 0
    calls: int = 0
    ready_s: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Driver:
    """A sender, an upstream and a grim reaper around one database."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self._home = home
        self._chance = random.Random(seed)
        self.ledger = Ledger()
        self._report = Report()
        self._stack = AsyncExitStack()
        self._asked: list[tuple[int, tuple[str, ...]]] = []
        self._recorded: list[set[str]] = []
        self._numbers = dict.fromkeys(range(PEERS), 0)
        self._news = asyncio.Event()

    async def __aenter__(self) -> Driver:
        self._upstream = await self._stack.enter_async_context(simulating(answer=self._answer))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def kill_randomly(self, times: int) -> None:
        """Live `times` lives that end at a random moment within 2 s of their first sign."""
        for _ in range(times):
            life = await self._begin()
            feeding = asyncio.get_running_loop().create_task(self._feed(life))
            await self._sign(life)
            await asyncio.sleep(self._chance.uniform(0.05, 1.8))
            life.kill()
            await self._end(life, feeding)

    async def kill_at(self, point: str, passes: int) -> None:
        """Live one life that ends at the n-th pass of a crash point."""
        life = await self._begin(crashpoint=f"{point}:{passes}")
        feeding = asyncio.get_running_loop().create_task(self._feed(life))
        async with asyncio.timeout(READY_S):
            code = await life.ended()
        if code != -9:
            self._report.broken.append(f"{point}:{passes} was never reached (exit {code})")
        await self._end(life, feeding)

    async def settle(self) -> Report:
        """One last life that may answer everything; then the accounts are checked."""
        life = await self._begin()
        for id in self.ledger.unanswered():
            peer, text = self.ledger.sent[id]
            life.say({"id": id, "text": text, "peer": peer})
        await self._sign(life)
        code = await life.finish()
        if code != 0:
            self._report.broken.append(f"the last life ended with {code}: {life.errors[-3:]}")
        report, ledger = self._report, self.ledger
        report.acknowledged = len(ledger.acknowledged)
        report.shown, report.resent = len(ledger.shown), ledger.resent
        report.calls = self._upstream.count
        report.broken += invariants.check(self._database, ledger)
        report.broken += self._repeated_calls()
        return report

    @property
    def _database(self) -> Path:
        return self._home / "turngate.db"

    async def _begin(self, *, crashpoint: str = "") -> Life:
        life = Life(self._home, self._upstream.base_url, self._heard, crashpoint=crashpoint)
        self._report.lives += 1
        self._started = time.monotonic()
        self._signed = False
        self._news.clear()
        await life.start()
        return life

    async def _sign(self, life: Life) -> None:
        """Wait for the first line of this life; how long it took is what users wait for."""
        async with asyncio.timeout(READY_S):
            await self._news.wait()

    async def _end(self, life: Life, feeding: asyncio.Task[None]) -> None:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await life.ended()
        self._recorded.append(invariants.completed_model_steps(self._database))

    async def _feed(self, life: Life) -> None:
        """Keep a bounded number of messages under way; what was not acknowledged comes first."""
        for id in self.ledger.unanswered():
            peer, text = self.ledger.sent[id]
            life.say({"id": id, "text": text, "peer": peer})
        known = list(self.ledger.acknowledged)[-3:]
        for id in known:  # a nervous sender: these were acknowledged and come again
            peer, text = self.ledger.sent[id]
            life.say({"id": id, "text": text, "peer": peer})
        while True:
            if len(self.ledger.unanswered()) < UNACKNOWLEDGED:
                number = self._chance.randrange(PEERS)
                count = self._numbers[number]
                self._numbers[number] = count + 1
                id, peer = f"p{number}-{count}", f"p{number}"
                self.ledger.sent[id] = (peer, f"say [{id}]")
                life.say({"id": id, "text": f"say [{id}]", "peer": peer})
            await asyncio.sleep(0.002)

    def _heard(self, line: dict[str, Any]) -> None:
        if not self._signed:
            self._signed = True
            self._report.ready_s.append(time.monotonic() - self._started)
        self._news.set()
        self.ledger.heard(line)

    def _answer(self, call: Asked) -> str:
        ids = tuple(_ID.findall(call.user_text))
        self._asked.append((self._report.lives, ids))
        return f"answer {call.number} to {' '.join(ids)}"

    def _repeated_calls(self) -> list[str]:
        """Model calls made in a life although an earlier life had them on record."""
        with invariants.opened(self._database) as connection:
            leaders = {
                external: into or turn
                for external, turn, into in connection.execute(
                    "SELECT external_id, turn_id, merged_into FROM inputs"
                )
            }
        broken: list[str] = []
        for life, ids in self._asked:
            for earlier, recorded in enumerate(self._recorded[: life - 1], start=1):
                again = [id for id in ids if leaders.get(id) in recorded]
                if again:
                    broken.append(f"life {life} asked again for {again}, recorded in {earlier}")
                    break
        return broken
