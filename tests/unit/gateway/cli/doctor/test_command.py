"""`turngate doctor` by hand: with a gateway, without one, and its codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.doctor.catalog import CHECKS
from gateway.cli.main import turngate
from tests.unit.gateway.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


pytestmark = pytest.mark.timeout(60)


def test_a_fresh_folder_has_nothing_to_mend_and_stays_as_it_is(shell: Shell) -> None:
    done = shell.run("doctor", "--json", TURNGATE_PORT="0")
    assert done.returncode == 0, done.stdout
    rows = json.loads(done.stdout)
    assert [row["check"] for row in rows] == [check.name for check in CHECKS]
    assert {row["level"] for row in rows} == {"ok", "warn"}
    assert all(bool(row["fix"]) == (row["level"] != "ok") for row in rows)
    assert not list(shell.folder.iterdir())
    assert done.stderr == ""


def test_every_problem_is_found_in_one_go(shell: Shell) -> None:
    (shell.folder / "workspace").mkdir()
    (shell.folder / "workspace" / "routes.json").write_text("{")
    (shell.folder / "home").write_text("")
    done = shell.run("doctor", TURNGATE_PORT="many")
    assert done.returncode == 1
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("fail")]
    assert {"settings", "home", "workspace"} <= set(failed)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("fix:") >= 3
    assert "\x1b[" not in done.stdout


def test_beside_a_gateway_it_asks_that_too(shell: Shell) -> None:
    with shell.up() as (_, url):
        done = shell.run("doctor", "--json", TURNGATE_PORT=url.rpartition(":")[2])
    rows = {row["check"]: row for row in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    assert url in rows["gateway"]["saw"]
    assert "belongs to the gateway" in rows["port"]["saw"]
    assert "held by pid" in rows["database"]["saw"]


@pytest.mark.parametrize(
    ("wish", "coloured"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({}, True)],
)
def test_a_terminal_has_colours_unless_they_are_not_wanted(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, wish: dict[str, str], coloured: bool
) -> None:
    for name in ("TERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(shell.folder)
    done = CliRunner(env=shell.environment(**wish)).invoke(turngate, ["doctor"], color=True)
    assert "python" in done.stdout
    assert ("\x1b[" in done.stdout) == coloured
