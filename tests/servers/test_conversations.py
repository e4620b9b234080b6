"""Whole conversations through a gateway with real model servers, which run what nobody scripted.

The model's answers are known (`scripted_weights`), so each test says what a person must read; all
else is the server's own: how it counts, refuses, streams, queues and finds calls in a text.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.client import Client
from gateway.wire.methods.turns import Answer
from tests.clients.running import Gateway
from tests.servers.conftest import Tried
from tests.servers.cutting import cutter
from tests.servers.scripted_weights import PEOPLE, STORY, WINDOW

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    # Processes do the work. The first of a server's tests installs it: llama.cpp is compiled.
    pytest.mark.timeout(3600),
]

ANSWER_MS = 120_000
"""An answer takes a second at rest."""
PAGE = "A page of what happened on the way, with the weather of each day and what was eaten. " * 10
PAGES = 3 * WINDOW // len(PAGE)
SHRUNK = ["turn.compacted", "turn.shortened"]


class Person:
    """Somebody who talks to a gateway, in a conversation of their own."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.session = ""

    async def send(self, said: str | list[dict[str, str]]) -> Answer:
        """The end of the turn, good or bad."""
        answer = await self.client.send(said, wait_ms=ANSWER_MS, peer_id=self.name)
        self.session = answer.session_key
        return answer

    async def say(self, said: str | list[dict[str, str]]) -> str:
        """The answer, which must come."""
        answer = await self.send(said)
        assert answer.state == "answered", answer
        return answer.reply or ""

    async def hello(self) -> None:
        """Whatever was said before, the conversation goes on."""
        assert (await self.say("hello")).startswith("Hello there.")

    async def happened(self, *kinds: str) -> list[str]:
        """Which of these events their conversation has seen."""
        wanted = {"session_key": self.session, "kinds": list(kinds)}
        found = await self.client.call("events.list", {"filter": wanted})
        return [event["kind"] for event in found["events"]]


@pytest.fixture
async def person(gateway: Gateway, request: pytest.FixtureRequest) -> AsyncIterator[Person]:
    """Somebody new."""
    async with Client(gateway.socket_url, gateway.token) as client:
        yield Person(client, request.node.originalname)


async def test_a_conversation(person: Person) -> None:
    await person.hello()
    for name in PEOPLE:
        assert await person.say(f"I am {name}.") == f"Good day, {name}."


async def test_a_tool_is_called_and_its_result_told(tried: Tried, person: Person) -> None:
    """Where the server has no tools the model's text is all there is, and the turn ends."""
    for _ in range(2):  # the second time with a call in its history
        answer = await person.say("What time is it?")
        assert answer == "It is that late." or not tried.about.tools
        await person.hello()


async def test_a_picture_becomes_a_line(person: Person) -> None:
    """And takes no more room than a line does: six of them would fill this window."""
    picture = {"type": "image", "url": data_url(), "media_type": "image/png"}
    for _ in range(3):
        looked = await person.say([{"type": "text", "text": "hello, look"}, picture, picture])
        assert looked == "Hello there."
        await person.hello()
    assert not await person.happened(*SHRUNK)


async def test_past_the_window(person: Person) -> None:
    for page in range(PAGES):
        await person.say(f"Page {page}: {PAGE}")
    assert await person.happened(*SHRUNK)
    await person.hello()


async def test_a_message_larger_than_the_window(person: Person) -> None:
    """It is refused with a sentence, and nothing of it is in the way of the next one."""
    ended = await person.send(PAGE * (2 * WINDOW // len(PAGE)))
    assert ended.state == "failed"
    assert "too long" in (ended.reply or "")
    await person.hello()


async def test_an_answer_without_end(person: Person) -> None:
    """It ends at the window or at the output an agent may have, and what came is kept."""
    assert (await person.say("Go on and on.")).lstrip().startswith("and on and on")
    await person.hello()


async def test_six_people_at_once(person: Person) -> None:
    people = [Person(person.client, name) for name in PEOPLE]
    for _ in range(3):
        said = await asyncio.gather(*(one.say(f"I am {one.name}.") for one in people))
        assert said == [f"Good day, {name}." for name in PEOPLE]


async def test_a_cut_stream(tried: Tried, tmp_path: Path) -> None:
    """One cut is mended; where every answer is cut, the next one that is not is read."""
    async with cutter(tried.at.port) as proxy:
        gateway = Gateway(tmp_path, **tried.settings(proxy.url))
        try:
            await asyncio.to_thread(gateway.start)
            async with Client(gateway.socket_url, gateway.token) as client:
                person = Person(client, "cut")
                proxy.after, proxy.cuts = b"Part 7", 1
                assert (await person.say("A story, please.")).split() == "".join(STORY).split()
                assert proxy.cuts == 0
                proxy.cuts = 1000
                assert (await person.send("The story again.")).state == "failed"
                await person.hello()
        finally:
            await asyncio.to_thread(gateway.stop)


def data_url() -> str:
    """A picture of one grey dot."""

    def piece(kind: bytes, data: bytes) -> bytes:
        checked = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checked

    head = piece(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    body = piece(b"IDAT", zlib.compress(b"\0\x80"))
    png = b"\x89PNG\r\n\x1a\n" + head + body + piece(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()
