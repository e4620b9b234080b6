"""Content parts and their wire form."""

from typing import Any

import pytest

from gateway.core.errors import InvalidInput
from gateway.core.parts import File, Image, Parts, Text, from_json, text_of, to_json

ALL: Parts = (
    Text("hello\nthere"),
    Image("https://example.org/a.jpg", "image/jpeg"),
    File("notes.txt", "data:text/plain,x", "text/plain"),
)
WIRE: list[dict[str, str]] = [
    {"type": "text", "text": "hello\nthere"},
    {"type": "image", "url": "https://example.org/a.jpg", "media_type": "image/jpeg"},
    {
        "type": "file",
        "name": "notes.txt",
        "url": "data:text/plain,x",
        "media_type": "text/plain",
    },
]


def test_parts_make_a_round_trip() -> None:
    """Every kind, in order."""
    assert to_json(ALL) == WIRE
    assert from_json(WIRE) == ALL
    assert from_json([]) == ()


def test_media_types_have_defaults() -> None:
    """The rest is needed; members nobody knows are passed over."""
    assert from_json([{"type": "image", "url": "u", "new": 1}]) == (Image("u", "image/png"),)
    assert from_json([{"type": "file", "name": "n", "url": "u"}]) == (
        File("n", "u", "application/octet-stream"),
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("hello", "parts must be a list of objects, got str"),
        (None, "parts must be a list of objects, got NoneType"),
        ({}, "parts must be a list of objects, got dict"),
        (["x"], r"parts\[0\] must be an object, got str"),
        ([WIRE[0], 7], r"parts\[1\] must be an object, got int"),
        ([{}], r"parts\[0\].type must be text, image or file, got None"),
        ([{"type": "video"}], r"parts\[0\].type must be text, image or file, got 'video'"),
        ([{"type": ["text"]}], r"parts\[0\].type must be text, image or file, got \['text'\]"),
        ([{"type": "text"}], r"parts\[0\].text must be a string, got None"),
        ([{"type": "text", "text": 1}], r"parts\[0\].text must be a string, got 1"),
        ([WIRE[0], {"type": "image"}], r"parts\[1\].url must be a string, got None"),
        ([{"type": "image", "url": "u", "media_type": 3}], r"parts\[0\].media_type must be"),
        ([{"type": "file", "url": "u"}], r"parts\[0\].name must be a string, got None"),
        ([{"type": "file", "name": "n", "url": []}], r"parts\[0\].url must be a string"),
    ],
)
def test_an_error_says_which_member_of_which_part(value: Any, said: str) -> None:
    """And what came instead."""
    with pytest.raises(InvalidInput, match=said):
        from_json(value)


def test_the_words_alone_name_what_they_leave_out() -> None:
    """Nothing disappears silently."""
    assert text_of(ALL) == "hello\nthere\n[image]\n[file notes.txt]"
    assert text_of(()) == ""
