"""A transport that watches whether its peer takes anything, on a transport that never does."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.http.bounds import Deadlines
from gateway.http.progress import Bytes, WatchedTransport

QUICK = Deadlines(progress_s=0.16, linger_s=0.05)


class FakeTransport(asyncio.Transport):
    """Keeps in its buffer what `take` does not take."""

    def __init__(self, *, half_closes: bool = True) -> None:
        super().__init__()
        self.buffered = 0
        self.calls: list[str] = []
        self._half_closes = half_closes
        self._closing = False

    def take(self, count: int) -> None:
        self.buffered -= count

    def write(self, data: Bytes) -> None:
        self.buffered += len(data)

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return self._half_closes

    def write_eof(self) -> None:
        self.calls.append("eof")

    def resume_reading(self) -> None:
        self.calls.append("read")

    def close(self) -> None:
        self._closing = True
        self.calls.append("close")

    def abort(self) -> None:
        self._closing = True
        self.calls.append("abort")


class Watched:
    """A watched transport and what it did."""

    def __init__(self, *, half_closes: bool = True) -> None:
        self.inner = FakeTransport(half_closes=half_closes)
        self.stalled = asyncio.Event()
        self.transport = WatchedTransport(
            self.inner, QUICK, asyncio.get_running_loop(), self.stalled.set
        )

    async def quiet(self, seconds: float) -> bool:
        """Whether nothing stalls for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.stalled.wait()
        except TimeoutError:
            return True
        return False


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    yield made
    made.transport.lost()


async def test_a_peer_that_takes_nothing_is_cut_off(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    assert not await watched.quiet(1)
    assert watched.inner.calls == ["abort"]


async def test_a_peer_that_takes_everything_is_not_watched(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    watched.inner.take(10)
    assert await watched.quiet(0.3)
    watched.transport.write(b"x" * 10)
    assert not await watched.quiet(1)


async def test_a_peer_that_takes_a_byte_now_and_then_is_kept(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    for _ in range(5):
        assert await watched.quiet(0.08)
        watched.inner.take(1)
    assert watched.inner.calls == []


async def test_what_is_written_meanwhile_is_no_progress(watched: Watched) -> None:
    """The buffer grows and shrinks by our own writes; only what left it counts."""
    watched.transport.write(b"x" * 10)
    for _ in range(20):
        if not await watched.quiet(0.02):
            break
        watched.transport.write(b"x")
    assert watched.stalled.is_set()


async def test_what_left_while_more_was_written_is_progress(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    for _ in range(20):
        assert await watched.quiet(0.02)
        watched.transport.write(b"xx")
        watched.inner.take(1)
    assert watched.inner.buffered > 10


async def test_closing_half_closes_reads_on_and_ends_after_a_while(watched: Watched) -> None:
    watched.transport.close()
    assert watched.transport.is_closing()
    assert watched.inner.calls == ["eof", "read"]
    watched.transport.close()
    watched.transport.write(b"late")
    assert await watched.quiet(0.1)
    assert watched.inner.calls == ["eof", "read", "abort"]
    assert watched.inner.buffered == 0


async def test_closing_lets_a_slow_peer_take_the_rest(watched: Watched) -> None:
    """The lingering begins when the last byte is gone, not before."""
    watched.transport.write(b"x" * 10)
    watched.transport.close()
    for _ in range(4):
        assert await watched.quiet(0.05)
        assert "abort" not in watched.inner.calls
        watched.inner.take(2)
    watched.inner.take(2)
    assert await watched.quiet(0.15)
    assert watched.inner.calls[-1] == "abort"


async def test_closing_does_not_wait_for_a_stalled_peer(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    watched.transport.close()
    assert not await watched.quiet(1)


async def test_a_transport_without_half_closing_closes_by_itself() -> None:
    """TLS says goodbye in its own way; if that hangs the socket is cut all the same."""
    watched = Watched(half_closes=False)
    watched.transport.close()
    assert watched.inner.calls == ["close"]
    assert await watched.quiet(0.1)
    assert watched.inner.calls == ["close", "abort"]


async def test_a_reset_that_nobody_noticed_ends_the_socket(watched: Watched) -> None:
    def reset() -> None:
        raise OSError("not connected")

    watched.inner.write_eof = reset  # type: ignore[method-assign]
    watched.transport.close()
    assert watched.inner.calls == ["abort"]
    watched.transport.resume_reading()
    assert watched.inner.calls == ["abort"]


async def test_once_lost_it_is_left_alone(watched: Watched) -> None:
    watched.transport.write(b"x" * 10)
    watched.transport.lost()
    assert await watched.quiet(0.3)
    assert watched.inner.calls == []


async def test_reading_is_not_paused_again_while_it_lingers(watched: Watched) -> None:
    """Else the end of the peer would not be seen."""
    watched.transport.close()
    watched.transport.pause_reading()
    assert watched.inner.calls == ["eof", "read"]
