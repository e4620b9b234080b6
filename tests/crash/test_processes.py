"""Several processes on one PostgreSQL: any accepts, one answers, and when it dies another does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.core.crashpoints import POINTS
from gateway.core.errors import TurngateError, Unauthenticated
from gateway.simulate.answers import Reply, document
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import find
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer, Simulator
from gateway.wire.methods.turns import Started
from tests.crash.fleet import TOKEN, fleet
from tests.support import database
from tests.support.machine import children_of
from tests.support.patience import PATIENCE_S

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.timeout(60)]


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    """Start the server outside of any test's time."""
    database.server()


class Speech:
    """A model server that says when it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.at_once: Counter[str] = Counter()
        self.most_at_once = 0

    async def __call__(self, call: Asked) -> str:
        peer = call.user_text.split()[0]
        self.at_once[peer] += 1
        self.most_at_once = max(self.most_at_once, self.at_once[peer])
        await self.may_answer.wait()
        self.at_once[peer] -= 1
        return f"answer to {call.user_text.splitlines()[-1]}"


async def test_a_summary_whose_process_is_killed_is_paid_once_and_ended_by_the_other(
    tmp_path: Path,
) -> None:
    """It is asked for by hand; the process dies with the model's answer on record."""

    def reply(call: Asked) -> str:
        return "in short" if call.user_text.startswith("User: ") else "fine"

    url = await database.fresh_url()
    async with simulating(answer=reply) as model, fleet(tmp_path, url, model.base_url) as gates:
        one, two = await gates.start(crashpoint="turn.before_boundary:6"), await gates.start()
        async with one.client() as sender:
            said = [await sender.send("x" * 400) for _ in range(5)]
            key = {"session_key": said[0].session_key}
            with suppress(TurngateError):
                async with SystemClock().timeout(PATIENCE_S):
                    await sender.call("sessions.compact", key, again=False)
            await one.process.wait()
        async with two.client() as other:
            after = await other.send("and now?")
            entries = (await other.call("sessions.history", key))["entries"]
            (listed, *_) = (await other.call("turns.list", {**key, "limit": 2}))["turns"][1:]
        summaries = [call for call in model.asked if call.user_text.startswith("User: ")]
    assert (after.reply, listed["state"], len(summaries)) == ("fine", "answered", 1)
    assert [entry["role"] for entry in entries[:4]] == ["assistant", "user", "summary", "assistant"]


async def test_a_turn_whose_process_is_killed_is_finished_by_the_other(tmp_path: Path) -> None:
    """Once its lease has ended; whoever waits for it at the other is told."""
    speech = Speech()
    url = await database.fresh_url()
    async with simulating(answer=speech) as model, fleet(tmp_path, url, model.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as sender:
            started = await sender.start("ann hello")
            await model.wait_for(1)
            queued = await sender.start("ann and more")
            one.kill()
        speech.may_answer.set()
        async with two.client() as other:
            first = await other.wait(started.turn_id, wait_ms=60_000)
            second = await other.wait(queued.turn_id, wait_ms=60_000)
        assert first.state == second.state == "answered"
        assert model.count == 3  # one was cut, and the two that were answered


async def test_what_happens_at_one_process_is_followed_at_the_other(tmp_path: Path) -> None:
    """Events in order without gap, and the end of a turn that another process runs."""
    speech = Speech()
    url = await database.fresh_url()
    async with simulating(answer=speech) as model, fleet(tmp_path, url, model.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as sender, two.client() as follower:
            events = follower.events(after_seq=0)
            started = await sender.start("ann hello")
            waiting = asyncio.get_running_loop().create_task(follower.wait(started.turn_id))
            await model.wait_for(1)
            speech.may_answer.set()
            answer = await waiting
            assert answer.state == "answered"
            seen = []
            async for item in events:
                seen.append((item["seq"], item["result"]["kind"]))
                if item["result"]["kind"] == "turn.completed":
                    break
            await events.aclose()
        assert [kind for _, kind in seen] == ["input.accepted", "turn.started", "turn.completed"]
        assert [seq for seq, _ in seen] == [1, 2, 3]


async def test_processes_that_accept_for_one_session_run_one_turn_of_it_at_a_time(
    tmp_path: Path,
) -> None:
    """Everything is answered exactly once, whichever process took it in."""
    speech = Speech()
    speech.may_answer.set()
    url = await database.fresh_url()
    async with simulating(answer=speech) as model, fleet(tmp_path, url, model.base_url) as gates:
        clients = [(await gates.start()).client(), (await gates.start()).client()]
        async with clients[0], clients[1]:
            answers = await asyncio.gather(
                *(
                    clients[n % 2].send(f"p{n % 5} message {n}", peer_id=f"p{n % 5}")
                    for n in range(40)
                )
            )
        assert Counter(answer.state for answer in answers) == {"answered": 40} or {
            answer.state for answer in answers
        } <= {"answered", "merged"}
        assert speech.most_at_once == 1
        ended = await database.run(url, "SELECT state, count(*) FROM inputs GROUP BY state")
        assert sum(row[1] for row in ended) == 40
        assert {row[0] for row in ended} <= {"answered", "merged"}
        twice = await database.run(
            url,
            "SELECT turn_id FROM events WHERE kind IN ('turn.completed', 'turn.failed') "
            "GROUP BY turn_id HAVING count(*) > 1",
        )
        assert twice == []


async def test_a_rolling_restart_loses_nothing(tmp_path: Path) -> None:
    """What a stopping process cannot finish, the other takes over without waiting for a lease."""
    speech = Speech()
    speech.may_answer.set()
    url = await database.fresh_url()
    async with simulating(answer=speech) as model, fleet(tmp_path, url, model.base_url) as gates:
        gate = await gates.start()
        turns: list[Started] = []
        for _ in range(3):
            successor = await gates.start()
            async with gate.client() as sender:
                turns += [
                    await sender.start(
                        f"p{n} hello", peer_id=f"p{n}", idempotency_key=f"{len(turns)}.{n}"
                    )
                    for n in range(4)
                ]
                gate.stop()
                assert await gate.process.wait() == 0
            gate = successor
        async with gate.client() as last:
            answers = [await last.wait(turn.turn_id, wait_ms=60_000) for turn in turns]
        assert {answer.state for answer in answers} <= {"answered", "merged"}


async def test_a_credential_revoked_at_one_process_is_refused_by_all(tmp_path: Path) -> None:
    """Within five seconds."""
    url = await database.fresh_url()
    async with simulating() as model, fleet(tmp_path, url, model.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as operator:
            made = await operator.call("tokens.create", {"name": "bot", "scopes": ["read"]})
            async with SystemClock().timeout(PATIENCE_S):
                while True:
                    try:
                        async with Client(two.url, made["token"]) as bot:
                            await bot.status()
                            break
                    except Unauthenticated:
                        await SystemClock().sleep(0.2)
            await operator.call("tokens.revoke", {"name": "bot"})
            async with SystemClock().timeout(PATIENCE_S):
                while True:
                    try:
                        async with Client(two.url, made["token"]) as bot:
                            await bot.status()
                        await SystemClock().sleep(0.2)
                    except (Unauthenticated, TurngateError):
                        break
        assert TOKEN not in "".join(gates.said)


@pytest.mark.slow
async def test_what_one_process_learnt_of_keys_and_used_of_a_budget_holds_at_the_other(
    tmp_path: Path,
) -> None:
    """A dead key is asked once by both together, and a bound of a day is theirs together."""

    def reply(call: Asked) -> Answer:
        if call.key != "spare":
            return find("auth")
        choice = {"message": {"content": "fine"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 5000, "completion_tokens": 1}
        return document({"choices": [choice], "usage": usage})

    url, settings = await database.fresh_url(), {"LLM_API_KEY_1": "spare"}
    settings["TURNGATE_DAY_TOKENS"] = "9000"
    async with (
        simulating(answer=reply) as model,
        fleet(tmp_path, url, model.base_url, **settings) as gates,
    ):
        one, two = await gates.start(), await gates.start()
        async with one.client() as first, two.client() as second:
            assert (await first.call("send", {"text": "hello"}))["reply"] == "fine"
            async with SystemClock().timeout(PATIENCE_S):
                while True:
                    listed = (await second.call("profiles.list", {}))["profiles"]
                    if any(row["state"] == "resting" for row in listed):
                        break
                    await SystemClock().sleep(0.2)
            told = await second.call("send", {"text": "hello"})
            assert "The budget of this day is spent: 5001 of 9000" in told["reply"]
        assert [call.key for call in model.asked] == ["sk-fleet-test-key", "spare"]


async def test_a_restart_of_the_database_under_load_loses_nothing(tmp_path: Path) -> None:
    """Refused with a type meanwhile, or answered late; whatever was accepted is answered."""
    speech = Speech()
    speech.may_answer.set()
    url = await database.fresh_url()
    refused: Counter[str] = Counter()
    async with simulating(answer=speech) as model, fleet(tmp_path, url, model.base_url) as gates:
        gate = await gates.start()

        async def talk(client: Client, peer: int) -> int:
            accepted = 0
            while accepted < 8:
                key = f"{peer}.{accepted}"
                try:
                    await client.send(f"p{peer} hello", peer_id=f"p{peer}", idempotency_key=key)
                    accepted += 1
                except TurngateError as error:
                    refused[type(error).__name__] += 1
                    await SystemClock().sleep(0.1)
            return accepted

        async with gate.client() as client, asyncio.TaskGroup() as group:
            talking = [group.create_task(talk(client, peer)) for peer in range(4)]
            await model.wait_for(6)
            await asyncio.to_thread(database.restart)
        assert [task.result() for task in talking] == [8] * 4
    assert set(refused) <= {"StoreUnavailable", "Busy"}
    states = await database.run(url, "SELECT state, count(*) FROM inputs GROUP BY state")
    assert sum(row[1] for row in states) == 32
    assert {row[0] for row in states} <= {"answered", "merged"}


async def test_one_parent_serves_with_several_processes_and_replaces_what_dies(
    tmp_path: Path,
) -> None:
    """One address; a killed child is missed by nobody for long; a signal stops them all."""
    url = await database.fresh_url()
    async with simulating() as model, fleet(tmp_path, url, model.base_url) as gates:
        parent = await gates.start(options=("--processes", "2"))
        first = await _children(parent.process.pid, 2)
        async with parent.client() as client:
            assert (await client.send("hello", peer_id="a")).state == "answered"
        os.kill(first[0], signal.SIGKILL)
        async with SystemClock().timeout(PATIENCE_S):
            while len(set(await _children(parent.process.pid, 2)) - set(first)) != 1:
                await SystemClock().sleep(0.05)
        async with parent.client() as client:
            assert (await client.send("hello again", peer_id="b")).state == "answered"
        parent.stop()
        assert await parent.process.wait() == 0
        assert children_of(parent.process.pid) == []


class Line:
    """A bare WebSocket to one process: calls, and what it is told meanwhile in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []

    async def call(self, method: str, **params: Any) -> Any:
        await self.socket.send(
            json.dumps({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
        )
        while "id" not in (message := json.loads(await self.socket.recv())):
            self.told.append(message)
        return message["result"]

    async def until(self, enough: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Listen until what was told is enough."""
        async with SystemClock().timeout(PATIENCE_S):
            while not enough(self.told):
                self.told.append(json.loads(await self.socket.recv()))

    def served_by(self, processes: list[int]) -> int:
        """Which process has the other end, as the kernel sees it."""
        ends = [
            f":{address[1]:04X}"
            for address in (self.socket.remote_address, self.socket.local_address)
        ]
        rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()]
        # Both ends and "established": other connections may have used the same port on this side.
        (inode,) = [
            row[9]
            for row in rows
            if row[1].endswith(ends[0]) and row[2].endswith(ends[1]) and row[3] == "01"
        ]
        for process in processes:
            for descriptor in Path(f"/proc/{process}/fd").iterdir():
                with suppress(FileNotFoundError):  # closed since it was listed
                    if descriptor.readlink() == Path(f"socket:[{inode}]"):
                        return process
        raise AssertionError("none of them")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux who has a connection")
async def test_an_answer_is_seen_growing_at_another_process_of_one_parent(tmp_path: Path) -> None:
    """Every piece and every event, in order and without a gap, while another process answers."""
    text = " ".join(f"word{n}" for n in range(40))
    url = await database.fresh_url()
    async with (
        simulating(answer=lambda call: Reply(text, deltas=20)) as model,
        fleet(tmp_path, url, model.base_url) as gates,
        AsyncExitStack() as stack,
    ):
        parent = await gates.start(options=("--processes", "2"))
        processes = await _children(parent.process.pid, 2)
        lines: dict[int, Line] = {}
        async with SystemClock().timeout(PATIENCE_S):
            while len(lines) < 2:
                address = f"{parent.url.replace('http', 'ws')}/ws"
                line = Line(await stack.enter_async_context(connect(address, proxy=None)))
                await line.call("connect", token=TOKEN)
                lines[line.served_by(processes)] = line
        speaker, follower = lines.values()
        begun = await follower.call("events.subscribe", previews=True, after_seq=0)
        assert begun["seq"] == 0
        turns = [(await speaker.call("send", text=f"say {n}"))["turn_id"] for n in range(3)]

        def ended(told: list[dict[str, Any]]) -> bool:
            kinds = [message["params"].get("result", {}).get("kind") for message in told]
            pieces = "".join(m["params"]["text"] for m in told if m["method"] == "turns.delta")
            return kinds.count("turn.completed") == 3 and len(pieces) == 3 * len(text)

        await follower.until(ended)
        deltas = [m["params"] for m in follower.told if m["method"] == "turns.delta"]
        for turn_id in turns:
            seen = ""
            for delta in (delta for delta in deltas if delta["turn_id"] == turn_id):
                assert (delta["attempt"], delta["offset"]) == (1, len(seen))
                seen += delta["text"]
            assert seen == text
        events = [m["params"] for m in follower.told if "result" in m["params"]]
        assert [event["seq"] for event in events] == list(range(1, 10))
        assert [event["prev_seq"] for event in events] == list(range(9))


async def _children(parent: int, count: int) -> list[int]:
    """Wait until a process has that many children; which."""
    async with SystemClock().timeout(PATIENCE_S):
        while True:
            found = children_of(parent)
            if len(found) == count:
                return found
            await SystemClock().sleep(0.05)


_OPEN = "state NOT IN ('answered', 'merged')"


async def _die_at(tmp_path: Path, point: str, passes: int, *, url: str, model: Simulator) -> None:
    """Talk to a process until it dies at a point; the other one must answer all it accepted."""
    async with fleet(tmp_path, url, model.base_url) as gates:
        doomed, other = await gates.start(crashpoint=f"{point}:{passes}"), await gates.start()
        accepted: list[str] = []

        async def talk() -> None:
            async with Client(doomed.url, TOKEN, patience_s=0.1) as client:
                for number in range(200):
                    started = await client.start(
                        f"p{number % 4} hello",
                        peer_id=f"p{number % 4}",
                        idempotency_key=f"{number}",
                    )
                    accepted.append(started.turn_id)

        talking = asyncio.get_running_loop().create_task(talk())
        async with SystemClock().timeout(PATIENCE_S):
            assert await doomed.process.wait() == -signal.SIGKILL
        await asyncio.gather(talking, return_exceptions=True)
        async with other.client() as client:
            for turn_id in accepted:
                answer = await client.wait(turn_id, wait_ms=60_000)
                assert answer.state in ("answered", "merged"), (turn_id, answer)
        # What was accepted without an acknowledgement is answered too.
        async with SystemClock().timeout(PATIENCE_S):
            while await database.run(url, f"SELECT 1 FROM inputs WHERE {_OPEN}"):
                await SystemClock().sleep(0.1)
    for query, wrong in (
        (f"SELECT turn_id, state FROM inputs WHERE {_OPEN}", "open"),
        (
            "SELECT turn_id FROM events WHERE kind IN ('turn.completed', 'turn.failed', "
            "'input.merged') GROUP BY turn_id HAVING count(*) > 1",
            "ended twice",
        ),
        (
            "SELECT max(seq) FROM events HAVING max(seq) <> count(*)",
            "a gap in the log",
        ),
    ):
        assert await database.run(url, query) == [], wrong


REACHED = sorted(set(POINTS) - {point for point in POINTS if point.startswith("delivery.")})
"""Answers of the network are fetched, not sent: what delivers is not passed here."""
SHARE = ("lane.after_claim", "step.before_complete", "store.in_transaction")


@pytest.mark.parametrize("point", SHARE)
async def test_a_kill_at_a_named_point_is_made_good_by_the_other_process(
    tmp_path: Path, point: str
) -> None:
    """A share of the points once; all of them many times are in the slow set."""
    url = await database.fresh_url()
    async with simulating() as model:
        await _die_at(tmp_path, point, 5, url=url, model=model)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("point", REACHED)
async def test_twenty_kills_at_a_named_point_are_made_good(tmp_path: Path, point: str) -> None:
    """Eleven points, twenty passes each: over two hundred kills."""
    for passes in range(5, 25):  # the first few writes make the operator's credential
        url = await database.fresh_url()
        async with simulating() as model:
            await _die_at(tmp_path / f"{passes}", point, passes, url=url, model=model)
