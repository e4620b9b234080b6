"""Several processes on one PostgreSQL: any accepts, one answers, and when it dies another does."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.core.errors import TurngateError, Unauthenticated
from gateway.wire.methods.turns import Started
from tests.crash.fleet import LEASE_S, TOKEN, fleet
from tests.support import database
from tests.support.upstream import Call, Upstream

pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.timeout(60)]


@pytest.fixture(scope="module", autouse=True)
def server() -> None:
    """Start the server outside of any test's time."""
    database.server()


class Speech:
    """An upstream that says when it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.at_once: Counter[str] = Counter()
        self.most_at_once = 0

    async def __call__(self, call: Call) -> str:
        peer = call.user_text.split()[0]
        self.at_once[peer] += 1
        self.most_at_once = max(self.most_at_once, self.at_once[peer])
        await self.may_answer.wait()
        self.at_once[peer] -= 1
        return f"answer to {call.user_text.splitlines()[-1]}"


async def test_a_turn_whose_process_is_killed_is_finished_by_the_other(tmp_path: Path) -> None:
    """Within the lease and a moment; whoever waits for it at the other is told."""
    speech = Speech()
    url = await database.fresh_url()
    async with Upstream(speech) as upstream, fleet(tmp_path, url, upstream.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as sender:
            started = await sender.start("ann hello")
            await upstream.wait_for(1)
            queued = await sender.start("ann and more")
            one.kill()
        killed = SystemClock().monotonic()
        speech.may_answer.set()
        async with two.client() as other:
            first = await other.wait(started.turn_id, wait_ms=20_000)
            took = SystemClock().monotonic() - killed
            second = await other.wait(queued.turn_id, wait_ms=20_000)
        assert first.state == second.state == "answered"
        assert upstream.count == 3  # one was cut, and the two that were answered
        assert took < LEASE_S + 5


async def test_what_happens_at_one_process_is_followed_at_the_other(tmp_path: Path) -> None:
    """Events in order without gap, and the end of a turn that another process runs."""
    speech = Speech()
    url = await database.fresh_url()
    async with Upstream(speech) as upstream, fleet(tmp_path, url, upstream.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as sender, two.client() as follower:
            events = follower.events(after_seq=0)
            started = await sender.start("ann hello")
            waiting = asyncio.get_running_loop().create_task(follower.wait(started.turn_id))
            await upstream.wait_for(1)
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
    async with Upstream(speech) as upstream, fleet(tmp_path, url, upstream.base_url) as gates:
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
    async with Upstream(speech) as upstream, fleet(tmp_path, url, upstream.base_url) as gates:
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
            answers = [await last.wait(turn.turn_id, wait_ms=10_000) for turn in turns]
        assert {answer.state for answer in answers} <= {"answered", "merged"}


async def test_a_credential_revoked_at_one_process_is_refused_by_all(tmp_path: Path) -> None:
    """Within five seconds."""
    url = await database.fresh_url()
    async with Upstream() as upstream, fleet(tmp_path, url, upstream.base_url) as gates:
        one, two = await gates.start(), await gates.start()
        async with one.client() as operator:
            made = await operator.call("tokens.create", {"name": "bot", "scopes": ["read"]})
            async with SystemClock().timeout(5):
                while True:
                    try:
                        async with Client(two.url, made["token"]) as bot:
                            await bot.status()
                            break
                    except Unauthenticated:
                        await SystemClock().sleep(0.2)
            await operator.call("tokens.revoke", {"name": "bot"})
            async with SystemClock().timeout(5):
                while True:
                    try:
                        async with Client(two.url, made["token"]) as bot:
                            await bot.status()
                        await SystemClock().sleep(0.2)
                    except (Unauthenticated, TurngateError):
                        break
        assert TOKEN not in "".join(gates.said)
