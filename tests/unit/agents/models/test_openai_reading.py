"""When an answer is taken to be over, over the wire and whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx2
import pytest

from agents.base.models import ModelContext
from agents.models.openai_answer import Answer, UpstreamError
from agents.models.openai_events import NotAnEvent
from agents.models.openai_reading import DRAIN_S, LINGER_S, read_answer
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed


def event(delta: object, finish: str | None = None, **more: object) -> bytes:
    value = {"choices": [{"delta": delta, "finish_reason": finish}], **more}
    return f"data: {json.dumps(value)}\n\n".encode()


HALF, STOP = event({"content": "Hello"}), event({}, "stop")
USAGE = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}\n\n'
DONE = b"data: [DONE]\n\n"
CUT = httpx2.RemoteProtocolError("cut")


class Shown:
    """What a watcher has on the screen."""

    def __init__(self) -> None:
        self.text = ""

    def emit(self, text: str) -> None:
        self.text += text

    def restarted(self) -> None:
        self.text = ""


async def body(*pieces: bytes | Exception | asyncio.Event) -> AsyncIterator[bytes]:
    for piece in pieces:
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, asyncio.Event):
            await piece.wait()
        else:
            yield piece


async def read(
    *pieces: bytes | Exception | asyncio.Event, clock: ManualClock | None = None
) -> tuple[Answer, str]:
    answer, shown = Answer(), Shown()
    context = ModelContext(clock or ManualClock(), shown.emit, shown.restarted)
    await read_answer(body(*pieces), answer, context)
    return answer, shown.text


@pytest.mark.parametrize(
    "rest",
    [
        (),
        (DONE,),
        (CUT,),
        (USAGE, CUT),
        (DONE, CUT),
        (httpx2.ReadTimeout("late"),),
        (b"data: {oops\n\n",),
        (b'data: {"error": {"message": "late"}}\n\n',),
        (b"data: 17\n\n",),
        (b"<html>\n",),
    ],
)
async def test_a_whole_answer_stays_whole(rest: tuple[bytes | Exception, ...]) -> None:
    answer, shown = await read(HALF, STOP, *rest)
    assert answer.reply("p").text == shown == "Hello"


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (CUT, httpx2.TransportError),
        (b"data: {oops\n\n", NotAnEvent),
        (b'data: {"error": {"message": "late"}}\n\n', UpstreamError),
        (b"data: 17\n\n", ModelFailed),
    ],
)
@pytest.mark.parametrize("before", [HALF, event({"content": "Hello"}, "network_error")])
async def test_an_answer_that_is_not_whole_is_broken(
    before: bytes, rest: bytes | Exception, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await read(before, rest)


@pytest.mark.parametrize(
    ("last", "wait_s"), [(STOP, LINGER_S), (STOP + DONE, DRAIN_S), (DONE, DRAIN_S)]
)
async def test_a_connection_left_open_is_waited_for_a_moment(last: bytes, wait_s: float) -> None:
    clock, never = ManualClock(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(read(HALF, last, USAGE, never, clock=clock))
        await clock.advance(wait_s / 2)
        assert not reading.done()
        await clock.advance(wait_s)
    answer, shown = reading.result()
    assert (shown, answer.ended) == ("Hello", last != DONE)


@pytest.mark.parametrize("rest", [CUT, httpx2.ReadTimeout("late")])
async def test_an_end_without_a_finish_reason_is_an_answer_that_broke_off(rest: Exception) -> None:
    answer, _ = await read(HALF, DONE, rest)
    with pytest.raises(ModelFailed) as raised:
        answer.reply("p")
    assert raised.value.category == "truncated"


async def test_what_was_shown_is_taken_back_when_it_was_a_thought() -> None:
    pieces = (event({"content": text}) for text in ("I must not ", "tell.\n</think>\n", "Hi"))
    answer, shown = await read(*pieces, STOP, DONE)
    assert answer.misled
    assert answer.reply("p").text == shown == "Hi"


async def test_what_was_held_back_is_shown_at_the_end() -> None:
    _, shown = await read(event({"content": "a <"}, "stop"), DONE)
    assert shown == "a <"


async def test_a_fault_counts_however_the_body_was_cut_into_pieces() -> None:
    """Also when the end of the body came in the same piece as the fault before it."""
    odd = event("text")
    for pieces in ((odd, STOP, DONE), (odd + STOP + DONE,)):
        with pytest.raises(ModelFailed) as raised:
            await read(*pieces)
        assert raised.value.category == "bad_response"


async def test_what_comes_behind_a_whole_answer_in_the_same_piece_takes_nothing_away() -> None:
    for behind in (b"data: {oops\n\n", event("text"), b'data: {"error": {"message": "late"}}\n\n'):
        answer, shown = await read(HALF + STOP + behind)
        assert (answer.ended, shown) == (True, "Hello")
