"""The crash loop over a socket: a gateway with many lives, and clients that resume.

The same accounts as `tests.crash.driver`, kept by clients that only know what came over the wire:
who sends a message with a key sends it again with that key until it is answered, and who follows
the log goes on after the last number seen.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gateway.client import Client
from gateway.settings.network import TOKEN_FILE
from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from gateway.wire.methods.turns import Answer
from tests.crash import invariants
from tests.support.standins import Brisk

PEERS = 6
SENDERS = 2
"""Senders of one peer: what comes while a turn runs may be merged into the next."""
READY_S = 20.0
"""Longest a test waits for a sign of life."""
LIFE_S = (0.05, 1.8)
"""How long a gateway lives from the moment it listens."""

_KEY = re.compile(r"\[(k\d+)\]")


PATIENCE_S = 6000.0
"""Of a client whose pauses are cut short: it counts what they should have been."""


class Life:
    """One `turngate up`; always on the same port, as the client has only one address."""

    def __init__(self, home: Path, base_url: str, port: int) -> None:
        self._home = home
        self._base_url = base_url
        self._port = port
        self._process: asyncio.subprocess.Process

    async def start(self) -> str:
        """The address, once it listens."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway", "up", "--port", str(self._port), "--log-level", "error"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env={
                "PATH": os.environ["PATH"],
                "LLM_BASE_URL": self._base_url,
                "LLM_MODEL": "test",
                "LLM_API_KEY": "sk-crash-test-key",
                "TURNGATE_HOME": str(self._home),
                "TURNGATE_MODEL": "scripted",
                "WORKSPACE_DIR": str(self._home / "workspace"),
            },
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(READY_S):
            return (await self._process.stdout.readline()).decode().strip()

    async def end(self, number: signal.Signals) -> int:
        """Signal it and wait; its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(number)
        async with asyncio.timeout(READY_S):
            await self._process.communicate()
        return self._process.returncode or 0


@dataclass(slots=True)
class Report:
    """What a test looks at."""

    lives: int = 0
    calls: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    """Key → the first answer to it."""
    repeated: int = 0
    """How often an answered message was sent again."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The log, as it came over the wire."""
    broken: list[str] = field(default_factory=list)


class Network:
    """Senders, a follower of the log, an upstream and a grim reaper around one database."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self._home = home
        self._chance = random.Random(seed)
        self._port = _quiet_port(self._chance)
        self._stack = AsyncExitStack()
        self._life: Life | None = None
        self._asked: list[tuple[int, tuple[str, ...]]] = []
        self._recorded: list[set[str]] = []
        self._keys = 0
        self._over = False
        self.report = Report()

    async def __aenter__(self) -> Self:
        self._upstream = await self._stack.enter_async_context(simulating(answer=self._reply))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._life is not None:
            await self._life.end(signal.SIGKILL)
        await self._stack.aclose()

    async def run(self, kills: int) -> Report:
        """Live `kills` lives that are cut short and one that is not; then check the accounts."""
        url = await self._begin()
        token = (self._home / TOKEN_FILE).read_text("utf-8").strip()
        async with (
            Client(url, token, clock=Brisk(), patience_s=PATIENCE_S) as client,
            Client(url, token, clock=Brisk(), patience_s=PATIENCE_S) as follower,
            asyncio.TaskGroup() as group,
        ):
            following = group.create_task(self._follow(follower))
            senders = [
                group.create_task(self._send(client, f"p{peer}"))
                for peer in range(PEERS)
                for _ in range(SENDERS)
            ]
            for _ in range(kills):
                await asyncio.sleep(self._chance.uniform(*LIFE_S))
                await self._kill()
                await self._begin()
            self._over = True
            await asyncio.wait(senders)
            # Its end is the last entry of the log.
            last = await client.send("the last one", peer_id="last", idempotency_key="k0")
            self.report.answers["k0"] = last
            await following
        code = await self._end(signal.SIGTERM)
        if code != 0:
            self.report.broken.append(f"the last life ended with {code}")
        self.report.calls = self._upstream.count
        self.report.broken += _check(self._home / "turngate.db", self.report)
        self.report.broken += self._repeated_calls()
        return self.report

    async def _begin(self) -> str:
        self._life = Life(self._home, self._upstream.base_url, self._port)
        self.report.lives += 1
        return await self._life.start()

    async def _end(self, number: signal.Signals) -> int:
        assert self._life is not None
        life, self._life = self._life, None
        return await life.end(number)

    async def _kill(self) -> None:
        code = await self._end(signal.SIGKILL)
        if code != -signal.SIGKILL:
            self.report.broken.append(f"life {self.report.lives} ended by itself with {code}")
        self._recorded.append(invariants.completed_model_steps(self._home / "turngate.db"))

    async def _send(self, client: Client, peer: str) -> None:
        while not self._over:
            self._keys += 1
            key = f"k{self._keys}"
            answer = await client.send(f"say [{key}]", peer_id=peer, idempotency_key=key)
            self.report.answers[key] = answer
            if self._chance.random() < 0.2:  # a nervous sender
                self.report.repeated += 1
                again = await client.send(f"say [{key}]", peer_id=peer, idempotency_key=key)
                if again != answer:
                    self.report.broken.append(f"{key}: {answer}, then {again}")

    async def _follow(self, client: Client) -> None:
        """To the end of the last turn."""
        async with aclosing(client.events(after_seq=0)) as items:
            async for item in items:
                self.report.seen.append(item)
                event = item.get("result") or {}
                last = self.report.answers.get("k0")
                ended = event.get("kind") == "turn.completed"
                if ended and ":last" in event["session_key"]:
                    return
                if last is not None and event.get("turn_id") == last.turn_id and ended:
                    return

    def _reply(self, call: Asked) -> str:
        keys = tuple(_KEY.findall(call.user_text))
        self._asked.append((self.report.lives, keys))
        return f"answer {call.number} to {' '.join(keys)}"

    def _repeated_calls(self) -> Iterator[str]:
        """Model calls made in a life although an earlier life had them on record."""
        leaders = {key: answer.answered_by for key, answer in self.report.answers.items()}
        for life, keys in self._asked:
            for earlier, recorded in enumerate(self._recorded[: life - 1], start=1):
                again = [key for key in keys if leaders.get(key) in recorded]
                if again:
                    yield f"life {life} asked again for {again}, recorded in {earlier}"
                    break


def _check(database: Path, report: Report) -> Iterator[str]:
    """Every broken promise, as sentences."""
    with invariants.opened(database) as connection:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"integrity: {line}"
        yield from _turns(connection, report)
        yield from _deliveries(connection, report)
        yield from _log(connection, report)
        for run_id, status in connection.execute("SELECT run_id, status FROM runs"):
            if status != "completed":
                yield f"run {run_id} is {status}"


def _turns(connection: sqlite3.Connection, report: Report) -> Iterator[str]:
    kept = dict(connection.execute("SELECT key, turn_id FROM idempotency").fetchall())
    for key, answer in report.answers.items():
        if kept.get(key) != answer.turn_id:
            yield f"{key} was answered as {answer.turn_id} and is {kept.get(key)}"
        if answer.reply is None or answer.state != "answered":
            yield f"{key} ended as {answer.state} although nothing went wrong upstream"
        elif key != "k0" and key not in answer.reply:
            yield f"{key} was answered with {answer.reply!r}"
    (turns,) = connection.execute("SELECT count(*) FROM inputs").fetchone()
    if not turns == len(kept) == len(report.answers):
        yield f"{len(report.answers)} messages, {len(kept)} keys, {turns} turns"
    for turn, state in connection.execute("SELECT turn_id, state FROM inputs"):
        if state not in ("answered", "merged"):
            yield f"{turn} is stuck in {state}"


def _deliveries(connection: sqlite3.Connection, report: Report) -> Iterator[str]:
    replies: dict[str, str | None] = {}
    for answer in report.answers.values():
        known = replies.setdefault(answer.delivery_key, answer.reply)
        if known != answer.reply:
            yield f"{answer.delivery_key}: {known!r}, then {answer.reply!r}"
    told: dict[str, str] = {}
    for item in report.seen:
        event = item["result"]
        if event["kind"] == "turn.completed":
            key = event["data"]["delivery_key"]
            if key in told:
                yield f"{key} was told twice"
            told[key] = event["text"]
    if told != replies:
        yield f"{len(told)} replies in the stream, {len(replies)} as answers, not the same"
    states = dict(connection.execute("SELECT key, state FROM deliveries").fetchall())
    for key, state in states.items():
        if state not in ("available", "sent"):
            yield f"delivery {key} is {state}"
    if set(states) != set(told):
        yield f"{len(states)} deliveries, {len(told)} replies told"


def _log(connection: sqlite3.Connection, report: Report) -> Iterator[str]:
    kept = [seq for (seq,) in connection.execute("SELECT seq FROM events ORDER BY seq")]
    seen = [item["seq"] for item in report.seen]
    if kept != list(range(1, len(kept) + 1)):
        yield "the log has gaps"
    if seen != kept[: len(seen)]:
        yield "the stream is not the log"
    if [item["prev_seq"] for item in report.seen] != [0, *seen[:-1]]:
        yield "the chain of the stream is broken"


def _quiet_port(chance: random.Random) -> int:
    """A free port below those the kernel gives to clients.

    A client that knocks at one of those while nobody listens may get it for its own end, and then
    it has connected to itself.
    """
    while True:
        port = chance.randint(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
