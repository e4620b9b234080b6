"""Which texts are commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.parsing import Typed, text_of_command, typed, unescaped
from gateway.core.parts import Image, Text


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/new", Typed("new", "")),
        ("/NEW  work ", Typed("new", "work")),
        ("/remember a\nb c", Typed("remember", "a\nb c")),
        ("/my-skill_2\targs", Typed("my-skill_2", "args")),
        ("/stop\n", Typed("stop", "")),
        ("//new", None),
        ("/", None),
        ("/ new", None),
        ("/2 cups of flour", None),
        ("/etc/hosts is a file", None),
        ("/tmp/", None),
        ("/what?", None),
        (" /new", None),
        ("new", None),
        ("", None),
    ],
)
def test_a_word_behind_a_slash_is_a_command(text: str, command: Typed | None) -> None:
    assert typed(text) == command


def test_two_slashes_are_one_of_text() -> None:
    image = Image("https://example.org/a.png")
    assert unescaped((Text("//new"),)) == (Text("/new"),)
    assert unescaped((Text("///new"), image)) == (Text("//new"), image)
    assert unescaped((image, Text("//new"))) == (image, Text("//new"))
    assert unescaped((Text("/new"),)) == (Text("/new"),)


def test_only_text_alone_is_a_command() -> None:
    """What comes with a picture is said to the agent."""
    assert text_of_command((Text("/new"),)) == "/new"
    assert text_of_command((Text("/new"), Image("https://example.org/a.png"))) == ""
    assert text_of_command(()) == ""


@given(st.text(max_size=200))
def test_any_text_can_be_said(text: str) -> None:
    """With one more slash where it begins with one."""
    said = (Text(f"/{text}" if text.startswith("/") else text),)
    assert typed(said[0].text) is None
    assert unescaped(said) == (Text(text),)
