"""How far something long is, on a terminal and in a file."""

from __future__ import annotations

import io

import pytest

from gateway.cli.progress import FetchProgress, copied, counted, waited
from gateway.core.clock import ManualClock
from tests.support.standins import Terminal


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that can do things, whatever these tests run in."""
    monkeypatch.setenv("TERM", "xterm")


def told(stream: io.StringIO) -> str:
    progress = FetchProgress(stream)
    for done in (0, 0, 50_000_000, 100_000_000):
        progress(done, 100_000_000)
    progress.end()
    return stream.getvalue()


def test_a_terminal_gets_a_bar_that_grows() -> None:
    lines = told(Terminal()).split("\r")
    assert [line[-5:-2].strip() for line in lines[1:3]] == ["0", "50"]
    assert lines[-1].endswith("100 %\n")


def test_a_file_gets_one_line_at_each_end() -> None:
    assert told(io.StringIO()).splitlines() == [
        "turngate: fetching the local model, 100 MB, once",
        "turngate: the local model is fetched",
    ]


def test_what_comes_after_a_fetch_that_failed_begins_a_line() -> None:
    stream = Terminal()
    progress = FetchProgress(stream)
    progress(3, 10)
    progress.end()
    assert stream.getvalue().endswith("\n")


def test_beside_a_prompt_each_end_is_a_line_and_the_prompt_comes_back() -> None:
    """Somebody types meanwhile; a bar would run through their words."""
    stream = Terminal()
    progress = FetchProgress(stream, prompt="> ")
    for done in (0, 50, 100):
        progress(done, 100)
    start, end = stream.getvalue().split("\r\x1b[K")
    assert start == "turngate: fetching the local model, 0 MB, once\n"
    assert end == "turngate: the local model is fetched\n> "


# --- counting and waiting ------------------------------------------------------------------------


def test_counted_steps_are_shown_on_a_terminal_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with counted("checking", 2, shown=True) as step:
        step()
        step()
    assert [part.removeprefix("\x1b[K") for part in stream.getvalue().split("\r")[1:]] == [
        "turngate: checking 0/2",
        "turngate: checking 1/2",
        "turngate: checking 2/2",
        "",
    ]


async def test_a_long_wait_counts_seconds_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = Terminal(), ManualClock()
    monkeypatch.setattr("sys.stderr", stream)
    async with waited("waiting", clock=clock):
        await clock.advance(2.5)
    assert "waiting 2 s" in stream.getvalue()
    assert "waiting 3 s" not in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


async def test_a_short_wait_is_not_said_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), ManualClock()
    monkeypatch.setattr("sys.stderr", stream)
    with counted("checking", 2, shown=True) as step:
        step()
    async with waited("waiting", clock=clock):
        await clock.advance(9.9)
    assert stream.getvalue() == ""


async def test_a_long_wait_is_said_once_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = io.StringIO(), ManualClock()
    monkeypatch.setattr("sys.stderr", stream)
    async with waited("waiting", clock=clock):
        await clock.advance(60)
    assert stream.getvalue() == "turngate: waiting …\n"


def test_a_copy_is_a_line_that_changes_or_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr("sys.stderr", stream)
        progress = copied("pages")
        for done in (0, 1, 50, 100):
            progress(done, 100)
        shown.append(stream.getvalue())
    terminal, file = shown
    assert terminal.count("\n") == 1
    assert terminal.endswith("turngate: 100 of 100 pages\n")
    assert file == "turngate: copying 100 pages\n"


def test_a_dumb_terminal_gets_lines_as_a_file_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would show what erases a line."""
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with counted("checking", 2, shown=True) as step:
        step()
    assert stream.getvalue() == ""
    assert told(Terminal()) == told(io.StringIO())
