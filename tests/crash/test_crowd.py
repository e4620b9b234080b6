"""Hundreds of turns that wait for a model when their process is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.core.clock import SystemClock
from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from tests.crash.fleet import fleet
from tests.crash.invariants import TURN_ENDS, opened

pytestmark = [pytest.mark.crash, pytest.mark.timeout(150)]

TURNS = 500
AT_ONCE = 16
"""Requests of one connection that are worked on at once."""


async def start(client: Client, count: int) -> list[str]:
    """Ids of so many turns, each in a session of its own."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> str:
        async with places:
            return (await client.start(f"say {number}", peer_id=f"p{number}")).turn_id

    return await asyncio.gather(*map(one, range(count)))


def ends(database: Path) -> dict[str, int]:
    """How often each turn was said to have ended."""
    with opened(database) as connection:
        kinds = ", ".join(map(repr, TURN_ENDS))
        query = f"SELECT turn_id, COUNT(*) FROM events WHERE kind IN ({kinds}) GROUP BY turn_id"
        return dict(connection.execute(query).fetchall())


async def test_a_kill_with_hundreds_of_turns_waiting_for_a_model_ends_each_once(
    tmp_path: Path,
) -> None:
    """All of them had asked; all are asked again and answered once, and their memory is free."""
    answered = asyncio.Event()

    async def held(call: Asked) -> str:
        await answered.wait()
        return f"answer to {call.user_text}"

    home = tmp_path / "home"
    async with (
        simulating(answer=held) as upstream,
        fleet(tmp_path, "", upstream.base_url, TURNGATE_HOME=str(home)) as gates,
    ):
        gate = await gates.start()
        async with gate.client() as client, SystemClock().timeout(60):
            turns = await start(client, TURNS)
            await upstream.wait_for(TURNS)
            assert (await client.status()).turns_running == TURNS
        gate.kill()
        await gate.process.wait()
        answered.set()
        async with (await gates.start()).client() as client, SystemClock().timeout(80):
            answers = await asyncio.gather(*map(client.wait, turns))
            bounds = {bound.name: bound for bound in (await client.status()).bounds}
        assert upstream.count == 2 * TURNS
    assert [each.reply for each in answers] == [f"answer to say {n}" for n in range(TURNS)]
    assert (bounds["memory"].used, bounds["working"].used, bounds["backlog"].used) == (0, 0, 0)
    assert ends(home / "turngate.db") == dict.fromkeys(turns, 1)
