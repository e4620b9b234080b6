"""Files: who may read them, whether they can be written, how much room there is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.cli.doctor import files
from gateway.cli.doctor.check import Level
from tests.unit.gateway.cli.doctor.scene import scene


async def test_a_home_that_is_not_there_can_be_made(tmp_path: Path) -> None:
    assert (await files.home(scene(tmp_path))).level is Level.OK
    assert not (tmp_path / "home").exists()


async def test_a_home_that_others_may_read_is_named_with_the_fix(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    token = home / "token"
    token.write_text("x")
    token.chmod(0o644)
    finding = await files.home(scene(tmp_path))
    assert finding.level is Level.WARN
    assert finding.fix == f"chmod go= {token}"
    token.chmod(0o600)
    assert (await files.home(scene(tmp_path))).level is Level.OK


async def test_a_home_that_others_may_write_to_is_refused_as_a_start_would(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    finding = await files.home(scene(tmp_path))
    assert (finding.level, finding.fix) == (Level.FAIL, f"chmod go-w {home}")


async def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    assert (await files.home(scene(tmp_path))).level is Level.FAIL


async def test_a_home_below_what_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For root everything can be written, so the answer of the system is put in."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    finding = await files.home(scene(tmp_path))
    assert finding.level is Level.FAIL
    assert "TURNGATE_HOME" in finding.fix


async def test_files_with_secrets_are_for_their_owner(tmp_path: Path) -> None:
    key = tmp_path / "key"
    for path in (key, tmp_path / ".env"):
        path.write_text("x")
        path.chmod(0o644)
    finding = await files.secrets(scene(tmp_path, environ={"LLM_API_KEY_FILE": str(key)}))
    assert finding.level is Level.WARN
    assert str(key) in finding.fix
    assert ".env" in finding.fix
    for path in (key, tmp_path / ".env"):
        path.chmod(0o600)
    finding = await files.secrets(scene(tmp_path, environ={"LLM_API_KEY_FILE": str(key)}))
    assert finding.level is Level.OK


@pytest.mark.parametrize(
    ("free", "level"), [(1 << 40, Level.OK), (1 << 28, Level.WARN), (1 << 20, Level.FAIL)]
)
async def test_room_on_the_disk_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert (await files.space(scene(tmp_path))).level is level


@pytest.mark.parametrize(
    ("mounts", "level"),
    [
        ("/dev/sda1 / ext4 rw 0 0\nnas:/x {folder} nfs4 rw 0 0", Level.WARN),
        ("/dev/sda1 / ext4 rw 0 0\nnas:/x /elsewhere nfs4 rw 0 0", Level.OK),
        ("nas:/x / nfs4 rw 0 0\n/dev/sda1 {folder} ext4 rw 0 0", Level.OK),
        ("", Level.OK),
    ],
)
async def test_a_disk_of_another_machine_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, level: Level
) -> None:
    """The last part of the path that is a place of its own decides."""
    folder = tmp_path / "with a blank"
    folder.mkdir()
    said = mounts.replace("{folder}", str(folder).replace(" ", "\\040"))
    monkeypatch.setattr(files, "_mounts", lambda: said)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 40))
    finding = await files.space(scene(folder))
    assert finding.level is level
    assert ("nfs4" in finding.saw) == (level is Level.WARN)
