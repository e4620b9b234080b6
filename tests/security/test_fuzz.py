"""Whatever bytes arrive at a real gateway's port: a typed answer or a proper end, and it goes on.

The gateway is the command, started once; what is said of a message in `tests/properties/test_rpc`
is said here of the whole way from the kernel to the store and back.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.properties.messages import calls, check_frame, frames
from tests.security.raw import BINARY, CLOSE, TEXT, Peer, frame, peer
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

T = TypeVar("T")
pytestmark = pytest.mark.timeout(300)  # a gateway is started; in its slow share there are thousands

STRANGE_ENDS = {1000, 1002, 1003, 1007, 1009}
"""What a client that sends no proper frames may be told: the codes of RFC 6455, section 7.4.1, for
what is a client's fault; 1000 answers a goodbye among the noise."""
ANSWER_S = 10.0
LAST = {"jsonrpc": "2.0", "method": "__listMethods", "id": "the last"}

bounded = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
thorough = settings(bounded, max_examples=1000)


class Gateway:
    """A gateway in a process, and a loop to speak to it."""

    def __init__(self, url: str, home: Path) -> None:
        self.port = int(url.rpartition(":")[2])
        self.netloc = f"127.0.0.1:{self.port}"
        self.auth = ("Authorization", f"Bearer {(home / 'token').read_text('utf-8').strip()}")
        self._runner = asyncio.Runner()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result, in time."""
        return self._runner.run(asyncio.wait_for(work, ANSWER_S))

    def close(self) -> None:
        self._runner.close()

    async def is_well(self) -> None:
        """A good request is answered."""
        async with peer(self.port) as good:
            await good.opened(self.netloc, self.auth)
            await last_answered(good)

    async def frames_are_survived(self, sent: list[tuple[int, bytes]]) -> None:
        """Each answer is a typed one; what is no UTF-8 ends the connection, and nothing else."""
        broken = not all(is_utf8(payload) for _, payload in sent)
        async with peer(self.port) as client:
            await client.opened(self.netloc, self.auth)
            for opcode, payload in sent:
                client.send(frame(payload, opcode=opcode))
            if broken:
                assert await client.close_code() == 1007
            else:
                await last_answered(client)
        await self.is_well()

    async def noise_is_survived(self, noise: bytes, *, opened: bool) -> None:
        """Bytes that are no frames, or no HTTP; then a good request of somebody else."""
        async with peer(self.port) as client:
            if opened:
                await client.opened(self.netloc, self.auth)
            client.send(noise)
            client.writer.write_eof()
            if opened:
                await properly_ended(client)
            else:
                assert (await client.answer()).status in (0, 400, 404, 405, 421, 431)
        await self.is_well()

    async def body_is_answered(self, body: bytes) -> None:
        """Whatever is in it: 200 and a typed answer, or 204."""
        async with peer(self.port) as client:
            kind = ("Content-Type", "application/json")
            length = ("Content-Length", str(len(body)))
            client.request("POST /rpc", [("Host", self.netloc), self.auth, kind, length], body)
            answer = await client.answer()
        assert answer.status in (200, 204), answer
        check_frame(answer.body or None)
        await self.is_well()


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


async def last_answered(client: Peer) -> None:
    """The next good request is answered; what comes before is valid."""
    client.send(frame(json.dumps(LAST).encode()))
    while True:
        opcode, payload = await client.message()
        assert opcode == TEXT, payload
        message = json.loads(payload)
        if isinstance(message, dict) and "method" in message:
            continue  # of a subscription that was among the frames
        check_frame(payload)
        if isinstance(message, dict) and message["id"] == LAST["id"]:
            return


async def properly_ended(client: Peer) -> None:
    """A code of ours, or the end the client has asked for by leaving."""
    while True:
        try:
            opcode, payload = await client.message()
        except (OSError, asyncio.IncompleteReadError):
            return
        if opcode == CLOSE:
            assert not payload or int.from_bytes(payload[:2]) in STRANGE_ENDS, payload
            return


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    shell = Shell(tmp_path_factory.mktemp("fuzzed"))
    with shell.up("--log-level", "error") as (process, url):
        opened = Gateway(url, shell.home)
        yield opened
        opened.close()
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE_S)
    bugs = [line for line in said.splitlines() if "rpc.bug" in line or "Traceback" in line]
    assert not bugs, said


def as_frame(message: bytes | str) -> tuple[int, bytes]:
    if isinstance(message, bytes):
        return BINARY, message
    return TEXT, message.encode(errors="surrogatepass")


def as_request(call: tuple[str, Any]) -> str:
    method, params = call
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


said = st.lists(
    frames.map(as_frame)
    | calls().filter(lambda call: not call[0].startswith("tokens.")).map(as_request).map(as_frame)
    | st.binary(max_size=64).map(lambda payload: (TEXT, payload)),
    max_size=6,
)
noise = st.binary(min_size=1, max_size=300) | st.lists(
    st.builds(
        frame,
        st.binary(max_size=130),
        opcode=st.integers(0, 15),
        fin=st.booleans(),
        rsv=st.integers(0, 7),
        mask=st.booleans(),
    ),
    min_size=1,
    max_size=5,
).map(b"".join)
bodies = st.binary(max_size=300) | frames.map(as_frame).map(lambda each: each[1])


@bounded
@given(said)
def test_any_frames_leave_a_socket_alive(gateway: Gateway, said: list[tuple[int, bytes]]) -> None:
    gateway.run(gateway.frames_are_survived(said))


@bounded
@given(noise)
def test_any_bytes_end_a_socket_properly(gateway: Gateway, noise: bytes) -> None:
    gateway.run(gateway.noise_is_survived(noise, opened=True))


@bounded
@given(noise)
def test_any_bytes_at_the_port_are_survived(gateway: Gateway, noise: bytes) -> None:
    gateway.run(gateway.noise_is_survived(noise, opened=False))


@bounded
@given(bodies)
def test_any_body_has_a_typed_answer(gateway: Gateway, body: bytes) -> None:
    gateway.run(gateway.body_is_answered(body))


@pytest.mark.slow
@thorough
@given(said, noise, bodies)
def test_thousands_of_each_are_survived(
    gateway: Gateway, said: list[tuple[int, bytes]], noise: bytes, body: bytes
) -> None:
    gateway.run(gateway.frames_are_survived(said))
    gateway.run(gateway.noise_is_survived(noise, opened=True))
    gateway.run(gateway.noise_is_survived(noise, opened=False))
    gateway.run(gateway.body_is_answered(body))
