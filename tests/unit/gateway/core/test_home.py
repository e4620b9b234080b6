"""The home folder on a real disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.core import home
from gateway.core.errors import ConfigError


def test_a_home_is_made_for_its_owner_alone_and_kept_out_of_repositories(tmp_path: Path) -> None:
    """Below folders that are not there either."""
    folder = tmp_path / "a" / "home"
    home.make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text("utf-8") == "*\n"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o770, 0o702])
def test_a_home_that_others_may_write_to_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    """They could replace database and token; nothing is written before that is known."""
    folder = tmp_path / "our home"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=r"chmod go-w '.*our home'") as refusal:
        home.make(folder)
    assert "TURNGATE_HOME" in str(refusal.value)
    assert not list(folder.iterdir())
    folder.chmod(mode & ~0o022)
    home.make(folder)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750, 0o711])
def test_a_home_that_others_may_only_read_is_used(tmp_path: Path, mode: int) -> None:
    """That is what most systems make; the files in it are for their owner."""
    tmp_path.chmod(mode)
    home.make(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode, "and left as it is"


def test_a_home_that_cannot_be_made_says_which_setting_to_change(tmp_path: Path) -> None:
    """There is a file where it should be."""
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigError, match="TURNGATE_HOME"):
        home.make(tmp_path / "home")
