"""One HTTP response from its bytes: where it ends, and what may follow it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.upstream_response import MAX_FRAMING, MalformedResponse, UpstreamResponse

CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nHello\r\n6;name=value\r\n world\r\n0\r\n\r\n"
)
COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nHello world"
CONTINUED = b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" + COUNTED
TRAILED = CHUNKED[:-2] + b"x-cost: 1\r\n\r\n"
UNBOUNDED = b"HTTP/1.1 200 OK\r\n\r\nHello world"
WHOLE = (CHUNKED, COUNTED, CONTINUED, TRAILED)


def read(*pieces: bytes) -> tuple[UpstreamResponse, bytes]:
    response = UpstreamResponse()
    body = b""
    for piece in pieces:
        response.feed(piece)
        body += response.take()
    return response, body


@given(data=st.sampled_from(WHOLE), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_a_response_is_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(at) if a < b]
    response, body = read(*pieces)
    assert body == b"Hello world"
    assert (response.status, response.whole, response.reusable) == (200, True, True)
    assert b"x" not in dict(response.headers)
    assert b"x-cost" not in dict(response.headers)


@pytest.mark.parametrize("data", WHOLE)
@pytest.mark.parametrize(
    "more", [COUNTED, CHUNKED, b"H", b"x", b"\n", b"\r\n", b"data: [DONE]\n\n", b"\0", b"\r\n\r\n"]
)
def test_anything_behind_the_end_is_never_part_of_a_response(data: bytes, more: bytes) -> None:
    """In the same piece and in the next one, and the response itself stays what it was."""
    for pieces in ((data + more,), (data, more)):
        response, body = read(*pieces)
        assert body == b"Hello world"
        assert response.whole
        assert not response.reusable


def test_a_response_without_a_length_ends_with_its_connection() -> None:
    response, body = read(UNBOUNDED)
    assert (body, response.begun, response.whole) == (b"Hello world", True, False)
    response.feed_eof()
    assert response.whole
    assert not response.reusable


@pytest.mark.parametrize("data", [CHUNKED[:-1], CHUNKED[:-20], COUNTED[:-1], COUNTED[:20]])
def test_a_response_with_a_length_does_not_end_with_its_connection(data: bytes) -> None:
    response, _ = read(data)
    response.feed_eof()
    assert not response.whole


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"]
)
def test_a_server_that_closes_is_not_asked_again(head: bytes) -> None:
    response, body = read(head + b"Content-Length: 2\r\n\r\nhi")
    assert (body, response.whole, response.reusable) == (b"hi", True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhixx\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_FRAMING,
        CHUNKED[:-2] + b"x: " + b"y" * 2 * MAX_FRAMING,
        b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_FRAMING,
    ],
)
def test_what_is_no_response_or_could_be_two_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedResponse):
        read(*(data[at : at + 65536] for at in range(0, len(data), 65536)))


@pytest.mark.parametrize(
    "head", [b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"Content-Length: 0\r\n\r\n"]
)
def test_an_empty_answer_is_whole_and_its_connection_gets_no_other_request(head: bytes) -> None:
    """llama-cpp-python hangs up a moment after one, often into the next request."""
    response, body = read(b"HTTP/1.1 200 OK\r\n" + head)
    assert (body, response.whole, response.reusable) == (b"", True, False)
