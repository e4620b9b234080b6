"""`turngate model`: what it says without weights, and what it refuses. Nothing is fetched here."""

from __future__ import annotations

import json

from tests.unit.gateway.cli.shell import Shell


def test_status_says_what_is_missing_and_what_to_do(shell: Shell) -> None:
    cache = shell.folder / "cache"
    told = shell.run("model", "status", "--json", TURNGATE_CACHE=str(cache))
    assert told.returncode == 0
    status = json.loads(told.stdout)
    assert status["usable"] is False
    assert status["path"].startswith(str(cache))
    assert "turngate model pull" in status["weights"]
    assert not cache.exists(), "looking changes nothing"


def test_a_file_that_is_not_the_model_is_refused(shell: Shell) -> None:
    (shell.folder / "model.gguf").write_bytes(b"GGUF")
    refused = shell.run("model", "pull", "--file", "model.gguf", TURNGATE_CACHE="cache")
    assert refused.returncode == 69
    assert "SHA-256" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_there_is_nothing_to_remove(shell: Shell) -> None:
    refused = shell.run("model", "remove", TURNGATE_CACHE="cache")
    assert refused.returncode == 1
    assert "nothing to remove" in refused.stderr


def test_the_cache_is_where_systems_keep_theirs(shell: Shell) -> None:
    told = shell.run("model", "status", "--json", XDG_CACHE_HOME=str(shell.folder / "xdg"))
    assert json.loads(told.stdout)["path"].startswith(str(shell.folder / "xdg" / "turngate"))
