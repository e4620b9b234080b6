"""A token is kept once, whole, and for its owner alone."""

from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.identity.token_file import TokenFile


def test_the_first_to_keep_one_decides(tmp_path: Path) -> None:
    path = tmp_path / "token"
    file = TokenFile(path)
    assert file.read() == ""
    assert file.keep("first")
    assert not TokenFile(path).keep("second")
    assert file.read() == "first"
    assert path.stat().st_mode & 0o077 == 0
    assert path.stat().st_nlink == 1
    assert [each.name for each in tmp_path.iterdir()] == ["token"]
    file.drop()
    file.drop()
    assert file.keep("second")
    assert file.read() == "second"


def test_a_draft_of_a_killed_process_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process numbers come again."""
    monkeypatch.setattr("os.getpid", lambda: 42)
    (tmp_path / ".token.42").write_text("half of o")
    assert TokenFile(tmp_path / "token").keep("whole")
    assert TokenFile(tmp_path / "token").read() == "whole"


def test_what_cannot_be_read_or_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    file = TokenFile(tmp_path / "token")
    with pytest.raises(ConfigError, match=r"/token cannot be read"):
        file.read()
    with pytest.raises(ConfigError, match="cannot be removed"):
        file.drop()
    with pytest.raises(ConfigError, match="cannot be written"):
        TokenFile(tmp_path / "gone" / "token").keep("x")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    assert TokenFile(tmp_path / "bytes").read() != ""
