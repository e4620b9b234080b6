"""What a terminal is good for, by what its environment says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO


def wants_colour(environ: Mapping[str, str]) -> bool:
    """Whether a terminal is to have colours: NO_COLOR wins over FORCE_COLOR, as in Python."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb"


def redraws(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a line that was written can be written over: a dumb terminal shows the escapes."""
    return stream.isatty() and environ.get("TERM") != "dumb"
