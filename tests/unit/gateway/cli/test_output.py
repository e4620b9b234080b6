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


TABLE_COLUMNS = len("t_1      answered  2026-01-01 00:00:00Z")


def test_a_table_wider_than_the_terminal_becomes_a_block_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(TABLE_COLUMNS))
    show(ROWS, as_json=False)
    assert len(capsys.readouterr().out.splitlines()) == 3
    monkeypatch.setenv("COLUMNS", str(TABLE_COLUMNS - 1))
    show(ROWS, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "turn_id      t_1",
        "state        answered",
        "accepted_at  2026-01-01 00:00:00Z",
        "",
        "turn_id  t_2",
        "state    failed",
        "",
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
        *(*head, f"{first}  category=rate", second, "merged  []"),
        *(*head, first, "        category=rate"),
        *("      - profile=two", "        why=one/big: rate", "merged  []"),
    ]
