"""How far a fetch is, on a terminal and in a file."""

from __future__ import annotations

import io

from gateway.cli.progress import FetchProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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
