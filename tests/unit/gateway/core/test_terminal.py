"""What the environment says of a terminal."""

from __future__ import annotations

import io

import pytest

from gateway.core.terminal import redraws, wants_colour
from tests.support.standins import Terminal


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, True),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colour_is_a_wish_of_the_environment(environ: dict[str, str], wanted: bool) -> None:
    assert wants_colour(environ) is wanted


def test_a_line_is_written_over_where_that_can_be_seen() -> None:
    assert redraws(Terminal(), {"TERM": "xterm"})
    assert redraws(Terminal(), {})
    assert not redraws(Terminal(), {"TERM": "dumb"})
    assert not redraws(io.StringIO(), {"TERM": "xterm"})
