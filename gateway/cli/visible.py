"""Text of people, models and servers, made safe to look at: nothing in it acts on a terminal.

Imports next to nothing: the command itself needs it before anything else is loaded.
"""

from __future__ import annotations

import re

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
