"""Which texts are commands: the pure rule.

`/word` at the beginning of a message that is nothing but text, followed by a blank or the end, is a
command. `//` is text that begins with one slash. `/etc/hosts`, `/ 2` and `/2` are text: a word has
letters, digits, `-` and `_`, begins with a letter, and has no second slash.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.core.parts import Parts, Text

_COMMAND = re.compile(r"/([A-Za-z][\w-]{0,63})(?:\s+(.*))?\s*", re.DOTALL)


class Typed(NamedTuple):
    """A command as it was typed; the word in small letters."""

    word: str
    args: str


def typed(text: str) -> Typed | None:
    """The command in a text; None where it is a message."""
    found = _COMMAND.fullmatch(text)
    if found is None:
        return None
    return Typed(found[1].lower(), (found[2] or "").strip())


def text_of_command(parts: Parts) -> str:
    """The text of a message that may be a command; empty where it cannot be one."""
    alone = parts[0] if len(parts) == 1 else None
    return alone.text if isinstance(alone, Text) and alone.text.startswith("/") else ""


def unescaped(parts: Parts) -> Parts:
    """A message that begins with two slashes, with one."""
    first = parts[0] if parts else None
    if isinstance(first, Text) and first.text.startswith("//"):
        return (Text(first.text[1:]), *parts[1:])
    return parts
