"""The written settings are those of the code, all of them, and can be read back."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from gateway.cli.init.settings_file import secrets_file, settings_file
from gateway.settings.settings import Settings
from gateway.settings.sources import look
from gateway.settings.words import is_secret

PLAIN = {n for n, f in Settings.model_fields.items() if not is_secret(f)} - {"llm_keys"}
SECRET = {n for n, f in Settings.model_fields.items() if is_secret(f)}


def test_every_setting_but_secrets_is_there_once() -> None:
    named = re.findall(r"^(?:# )?(\w+) = ", settings_file({"llm_model": "m"}), re.MULTILINE)
    assert sorted(named) == sorted(PLAIN)
    named = re.findall(r"^# ([A-Z_]+)=$", secrets_file(), re.MULTILINE)
    assert {name.lower() for name in named} == SECRET


def test_what_was_chosen_is_in_force_and_nothing_else() -> None:
    chosen = {"llm_model": 'a "quoted" ünï', "turngate_port": 9000}
    assert tomllib.loads(settings_file(chosen)) == chosen


def test_every_line_fits_when_it_is_taken_out_of_its_comment(tmp_path: Path) -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", settings_file({}), flags=re.MULTILINE)
    assert set(tomllib.loads(text)) == PLAIN
    (tmp_path / "turngate.toml").write_text(text)
    found = look(Settings.model_fields, environ={}, folder=tmp_path)
    assert not found.problems
    Settings(**{name: given.value for name, given in found.given.items()})


def test_a_fresh_file_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = Settings()
    monkeypatch.chdir(tmp_path)
    Path("turngate.toml").write_text(settings_file({}))
    Path(".env").write_text(secrets_file())
    assert Settings() == before
