"""`turngate config`: what is in force, where it comes from, and no secrets."""

from __future__ import annotations

import json

from gateway.settings.settings import Settings
from tests.unit.gateway.cli.shell import Shell


def test_secrets_are_masked(shell: Shell) -> None:
    done = shell.run("config", "show", LLM_API_KEY="sk-not-to-be-seen", LLM_MODEL="m")
    assert done.returncode == 0
    assert "sk-not-to-be-seen" not in done.stdout
    assert "(set)" in done.stdout


def test_the_password_of_a_database_is_masked(shell: Shell) -> None:
    """Where it is, is no secret."""
    url = "postgresql://ann:hunter2222@db.example/gate"
    for command in (("show",), ("explain", "TURNGATE_STORE")):
        done = shell.run("config", *command, TURNGATE_STORE=url)
        assert done.returncode == 0
        assert "hunter2222" not in done.stdout
        assert "db.example/gate" in done.stdout


def test_a_store_of_another_kind_is_refused(shell: Shell) -> None:
    done = shell.run("config", "show", TURNGATE_STORE="mysql://db/gate")
    assert done.returncode == 78
    assert "postgresql://" in done.stderr


def test_a_setting_says_where_it_comes_from(shell: Shell) -> None:
    done = shell.run("config", "explain", "TURNGATE_PORT", TURNGATE_PORT="9000")
    assert "9000" in done.stdout
    assert "environment" in done.stdout
    assert "8765" in done.stdout


def test_an_unknown_setting_gets_a_hint(shell: Shell) -> None:
    done = shell.run("config", "explain", "turngate_prot")
    assert done.returncode == 2
    assert "TURNGATE_PORT" in done.stderr


def test_an_explanation_is_whole(shell: Shell) -> None:
    done = shell.run("config", "explain", "turngate_port", "--json")
    facts = json.loads(done.stdout)
    assert facts["source"] == "default"
    assert facts["takes"] == "a whole number from 0 to 65535"
    assert facts["example"]


def test_every_setting_is_listed_with_its_source(shell: Shell) -> None:
    done = shell.run("config", "show", "--json", TURNGATE_PORT="9000")
    rows = {row["setting"]: row for row in json.loads(done.stdout)}
    assert rows.keys() == {name.upper() for name in Settings.model_fields} - {"LLM_KEYS"}
    assert rows["TURNGATE_PORT"] == {
        "setting": "TURNGATE_PORT",
        "value": "9000",
        "source": "environment",
    }
    assert rows["LLM_MODEL"]["source"] == "default"
