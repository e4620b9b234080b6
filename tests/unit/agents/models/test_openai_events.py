"""Bodies of answers as they come from real servers, whatever their content type says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.openai_events import Event, EventReader, NotAnEvent, WebPage


def read(*pieces: bytes) -> tuple[list[object], bool]:
    reader = EventReader()
    events = [event for piece in pieces for event in reader.feed(piece)]
    events += reader.finish()
    return [event.value for event in events], reader.done


ONE, TWO = {"a": 1}, {"b": [2]}
BODIES: dict[str, tuple[bytes, bool]] = {
    "events": (b'data: {"a":1}\n\ndata: {"b":[2]}\n\ndata: [DONE]\n\n', True),
    "without the space": (b'data:{"a":1}\n\ndata:{"b":[2]}\n\ndata:[DONE]\n\n', True),
    "CRLF": (b'data: {"a":1}\r\n\r\ndata: {"b":[2]}\r\n\r\ndata: [DONE]\r\n\r\n', True),
    "CR": (b'data: {"a":1}\r\rdata: {"b":[2]}\r\rdata: [DONE]\r\r', True),
    "no empty lines": (b'data: {"a":1}\ndata: {"b":[2]}\ndata: [DONE]\n', True),
    "no last line end": (b'data: {"a":1}\n\ndata: {"b":[2]}', False),
    "names, ids, comments": (
        b': hi\n\nid: 7\nevent: x\nretry: 3\ndata: {"a":1}\n\n: hi\ndata: {"b":[2]}\n\n',
        False,
    ),
    "events without data": (b'event: ping\n\ndata:\n\ndata: {"a":1}\n\ndata: {"b":[2]}\n\n', False),
    "an event over lines": (b'data: {\ndata:   "a": 1\ndata: }\n\ndata: {"b":[2]}\n\n', False),
    "a prefix twice": (b'data: data: {"a":1}\n\ndata: data: {"b":[2]}\n\n', False),
    "a value a line": (b'{"a":1}\n{"b":[2]}\n', False),
    "a mark, then events": (b'\xef\xbb\xbfdata: {"a":1}\n\ndata: {"b":[2]}\n\n', False),
    "cut inside the third": (b'data: {"a":1}\n\ndata: {"b":[2]}\n\ndata: {"c": "x', False),
    "more behind the end": (b'data: {"a":1}\n\ndata: {"b":[2]}\n\ndata: [DONE]\n\n{"c":3}\n', True),
}


@pytest.mark.parametrize("name", BODIES)
def test_every_form_holds_the_same_values(name: str) -> None:
    body, done = BODIES[name]
    assert read(body) == ([ONE, TWO], done)


@given(name=st.sampled_from(sorted(BODIES)), cuts=st.lists(st.integers(0, 90), max_size=5))
def test_where_a_body_is_cut_makes_no_difference(name: str, cuts: list[int]) -> None:
    body, done = BODIES[name]
    at = [0, *sorted(cuts), len(body)]
    pieces = [body[at[n] : at[n + 1]] for n in range(len(at) - 1)]
    assert read(*pieces) == ([ONE, TWO], done)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1}',
        b'\xef\xbb\xbf{"a": 1}\n',
        b'{\n  "a": 1\n}\n',
        b'{\r\n  "a": 1\r\n}',
        b'{"a": 1}\n\ndata: [DONE]\n\n',
        b'{\n "a":\n 1}\n\ndata: [DONE]\n\n',
    ],
)
def test_a_document_is_one_value(body: bytes) -> None:
    assert read(body)[0] == [ONE]
    assert read(*(bytes([byte]) for byte in body))[0] == [ONE]


def test_a_value_is_there_before_the_line_behind_it() -> None:
    reader = EventReader()
    assert list(reader.feed(b'data: {"a":1}\n')) == [Event("", ONE)]


def test_an_event_keeps_its_name_and_errors_may_be_bare_text() -> None:
    reader = EventReader()
    assert list(reader.feed(b'event: error\ndata: {"a":1}\n\ndata: {"b":[2]}\n\n')) == [
        Event("error", ONE),
        Event("", TWO),
    ]
    assert list(reader.feed(b"event: error\ndata: out of memory\n\n")) == [
        Event("error", "out of memory")
    ]


def test_halves_of_surrogate_pairs_and_odd_numbers_are_read() -> None:
    values, _ = read(b'data: {"a": "\\ud83d", "b": NaN}\n\n')
    assert json.dumps(values) == '[{"a": "\\ud83d", "b": NaN}]'


@pytest.mark.parametrize(
    "body",
    [b"data: {oops}\n\n", b'data: "\xff"\n\n', b'{"a": [', b"data: " + b"[" * 100_000 + b"\n\n"],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        read(body)


@pytest.mark.parametrize("body", [b"<!doctype html>\n<html>", b"  <html>"])
def test_a_web_page_is_told_apart(body: bytes) -> None:
    with pytest.raises(WebPage, match="base URL"):
        read(body)


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_are_values_or_refused(pieces: list[bytes]) -> None:
    try:
        read(*pieces)
    except NotAnEvent:
        return
