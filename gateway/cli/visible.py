"""Text for a terminal: what people, models and servers wrote does not act on it, and lines fit.

Imports next to nothing: the command itself needs it before anything else is loaded.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TextIO

# Controls but for the tab and the end of a line, and what breaks lines or turns text around.
_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text, each character that a terminal might obey replaced by one that is seen."""
    return _ACTS.sub("�", text)


def escaped(json: str) -> str:
    """JSON that reads back equal, such characters inside of its texts escaped; one line stays one.

    Tabs and line ends outside of texts are layout; inside, JSON has them escaped already.
    """
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def fitted(text: str, indent: int, stream: TextIO) -> str:
    """The text broken between words for a terminal, else unchanged.

    Its first line begins at column `indent`, further ones are indented to it, and as far as the
    line they go on with.
    """
    if not stream.isatty():
        return text
    width = max(shutil.get_terminal_size().columns, indent + 20)
    margin = " " * indent
    lines = [
        textwrap.fill(
            line,
            width,
            initial_indent=margin,
            subsequent_indent=margin + " " * (len(line) - len(line.lstrip(" "))),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    ]
    return "\n".join([lines[0][indent:], *lines[1:]])
