"""What people see of a result, and what programs do."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from gateway.cli.output import show

ROWS: dict[str, Any] = {
    "turns": [
        {"turn_id": "t_1", "tags": {}, "state": "answered", "accepted_at": 1_767_225_600_900},
        {"turn_id": "t_2", "tags": {}, "state": "failed", "accepted_at": None},
    ]
}


def test_a_table_has_times_people_read_and_no_empty_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show(ROWS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "turn_id  state     accepted_at",
        "t_1      answered  2026-01-01 00:00:00Z",
        "t_2      failed",
    ]


def test_programs_get_all_of_it_as_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


TABLE_COLUMNS = len("t_1      answered  2026-01-01 00:00:00Z")


def test_a_table_wider_than_the_terminal_leaves_out_what_few_look_for_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, TABLE_COLUMNS)
    show(ROWS, as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 3
    monkeypatch.setenv("COLUMNS", str(TABLE_COLUMNS - 1))
    show(ROWS, as_json=False)
    said = capsys.readouterr()
    assert said.out.splitlines() == ["turn_id  state", "t_1      answered", "t_2      failed"]
    assert "accepted_at" in said.err


def test_one_row_that_is_too_wide_becomes_a_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, TABLE_COLUMNS - 1)
    show(ROWS["turns"][:1], as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "turn_id      t_1",
        "state        answered",
        "accepted_at  2026-01-01 00:00:00Z",
    ]


def test_sentences_in_a_table_take_the_room_that_is_left_and_several_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "a sentence that is longer than the room there is"
    rows = [{"seq": n, "text": said, "kind": "turn.started", "url": "u" * 30} for n in (1, 2)]
    at_a_terminal(monkeypatch, 50)
    show(rows, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "seq  kind          text",
        "1    turn.started  a sentence that is longer than",
        "                   the room there is",
        "2    turn.started  a sentence that is longer than",
        "                   the room there is",
    ]


def test_what_was_said_is_looked_for_however_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, 30)
    show([{"seq": 1, "session_key": "s" * 20, "kind": "turn", "text": "hello"}] * 2, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "seq  kind  text",
        "1    turn  hello",
        "1    turn  hello",
    ]


def test_rows_of_which_nothing_fits_side_by_side_become_a_block_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_a_terminal(monkeypatch, 20)
    show([{"key": "k" * 15, "url": "u" * 15}] * 2, as_json=False)
    block = [f"key  {'k' * 15}", f"url  {'u' * 15}"]
    assert capsys.readouterr().out.splitlines() == [*block, "", *block]


def test_people_see_no_brackets_and_nothing_that_is_empty(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show({"scopes": ["chat", "read"], "problems": [], "ended_at": None, "n": 0}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "scopes    chat, read",
        "problems  none",
        "n         0",
    ]


def test_a_long_value_is_broken_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show({"name": "one two three four five"}, as_json=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "26")
    show({"name": "one two three four five"}, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "name  one two three four five",
        "name  one two three four",
        "      five",
    ]


def test_what_an_entry_is_made_of_stands_below_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each attempt of a model call is a line of its own, whole on a narrow terminal too."""
    requests = [{"profile": "one", "why": "first", "category": "rate"}]
    requests.append({"profile": "two", "why": "one/big: rate", "category": ""})
    result = {"steps": [{"path": "1", "requests": requests, "error": ""}], "merged": []}
    show(result, as_json=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    show(result, as_json=False)
    head = ["steps", "  - path=1", "    requests"]
    first, second = "      - profile=one  why=first", "      - profile=two  why=one/big: rate"
    assert capsys.readouterr().out.splitlines() == [
        *(*head, f"{first}  category=rate", second, "merged  none"),
        *(*head, first, "        category=rate"),
        *("      - profile=two", "        why=one/big: rate", "merged  none"),
    ]
