"""The checks themselves: what a page says wrongly is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.playing import commands, play
from tests.docs.sameness import differences

ID, OTHER = "t_" + "0" * 28, "t_" + "1" * 28


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("hello", "hello\n"),
        ("", ""),
        (f"{ID} and {ID}", f"{OTHER} and {OTHER}"),
        ("at 2026-11-21T08:27:58+00:00 (Saturday)", "at 2027-01-04T00:00:00.12Z (Monday)"),
        ("begins … ends", "begins with anything and ends"),
        ("/…/file (pid 1 on a)", "/tmp/x/file (pid 77 on b.c)"),
        ("said", "bash: line 1:  12 Done  echo\n      13 Killed  | turngate\nsaid\n"),
    ],
)
def test_what_differs_by_chance_is_the_same(shown: str, real: str) -> None:
    assert differences(shown, real) == []


@pytest.mark.parametrize(
    ("shown", "real"),
    [
        ("hello", "hallo"),
        ("hello", ""),
        ("", "a warning"),
        (f"{ID} and {ID}", f"{ID} and {OTHER}"),
        ("one\ntwo", "two\none"),
        ("a … line", "a\nline"),
    ],
)
def test_what_differs_by_fault_is_told(shown: str, real: str) -> None:
    assert differences(shown, real)


def test_order_may_be_left_open() -> None:
    assert differences("one\ntwo", "two\none", unordered=True) == []


def test_a_block_says_what_it_is() -> None:
    text = "text\n\n```json file=a/b.json\n{}\n```\n```console tty\n$ go\n> x\n```\n"
    saved, typed = pages.blocks(text)
    assert (saved.language, saved.file, saved.text, saved.line) == ("json", "a/b.json", "{}\n", 3)
    assert (typed.language, typed.flags, typed.file) == ("console", frozenset({"tty"}), "")
    assert [command.line for command in commands(typed.text)] == ["go"]


def test_blocks_belong_to_the_heading_above_them() -> None:
    text = "```json\n0\n```\n# A\n```json\n1\n```\n## B\n### C\n```json\n2\n```\n```sh\n# D\n```\n"
    assert [(title, [b.text for b in inside]) for title, inside in pages.sections(text)] == [
        ("top", ["0\n"]),
        ("A", ["1\n"]),
        ("C", ["2\n", "# D\n"]),
    ]


@pytest.mark.timeout(20)  # three processes
def test_playing_tells_a_wrong_page_from_a_right_one(tmp_path: Path) -> None:
    """A file, a shell that remembers its status, a snippet, a terminal."""
    right = [
        pages.Block(1, ("text", "file=note.txt"), "hi\n"),
        pages.Block(1, ("console",), "$ cat note.txt\nhi\n$ false\n$ echo $?\n1\n"),
        pages.Block(1, ("python",), "print(open('note.txt').read())\n"),
        pages.Block(1, ("text", "output"), "hi\n"),
    ]
    for block, following in zip(right, [*right[1:], None], strict=True):
        assert play(block, following, tmp_path) == []
    wrong = pages.Block(1, ("console",), "$ cat note.txt\nho\n")
    assert play(wrong, None, tmp_path) == ["`cat note.txt`: the page says 'ho', really 'hi'"]
    failing = pages.Block(1, ("python",), "raise SystemExit(3)\n")
    assert play(failing, None, tmp_path)


def test_anchors_are_what_a_link_needs() -> None:
    text = "# One, two\n\n## `code` & more\n\n## One, two\n\n```text\n# not a heading\n```\n"
    assert pages.anchors(text) == {"one-two", "code--more", "one-two-1"}
    assert list(pages.links("[a](b.md#c) and `[x](y)` and [d](e)")) == ["b.md#c", "e"]
