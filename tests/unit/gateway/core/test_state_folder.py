"""Where a user's state is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.state_folder import state_folder


def test_it_is_where_the_desktop_specification_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "turngate"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder() == tmp_path / ".local" / "state" / "turngate"
