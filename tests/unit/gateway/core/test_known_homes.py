"""Homes are remembered for the user, without secrets, and never too many."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gateway.core import known_homes


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_home_is_remembered_once_and_for_its_owner(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    known_homes.remember(home)
    known_homes.remember(home)
    assert known_homes.known() == [home]
    (file,) = known_homes.folder().iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_home_that_is_gone_is_not_named(tmp_path: Path) -> None:
    known_homes.remember(tmp_path / "gone")
    assert known_homes.known() == []


def test_the_latest_come_first_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    homes = [tmp_path / str(number) for number in range(known_homes.MOST + 2)]
    for age, home in enumerate(homes):
        home.mkdir()
        known_homes.remember(home)
        for file in known_homes.folder().iterdir():
            if file.read_bytes() == os.fsencode(home):
                os.utime(file, (age + 1, age + 1))
    # The latest was written in the present, as far as the clock of the files goes.
    assert known_homes.known() == homes[:1:-1]


@pytest.mark.parametrize("text", [b"", b"\xff\xfe", b"/a\0b", b"/" + b"x" * 5000])
def test_a_damaged_note_is_passed_over(tmp_path: Path, text: bytes) -> None:
    home = tmp_path / "home"
    home.mkdir()
    known_homes.remember(home)
    (known_homes.folder() / "damaged").write_bytes(text)
    assert home in known_homes.known()


def test_where_nothing_can_be_written_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file")
    known_homes.remember(tmp_path)
    assert known_homes.known() == []
    monkeypatch.setenv("XDG_STATE_HOME", "~no-such-user/state")
    known_homes.remember(tmp_path)
    assert known_homes.known() == []
