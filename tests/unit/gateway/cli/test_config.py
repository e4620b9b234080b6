"""`turngate config`: what is in force, where it comes from, and no secrets."""

from __future__ import annotations

from tests.unit.gateway.cli.shell import Shell


def test_secrets_are_masked(shell: Shell) -> None:
    done = shell.run("config", "show", LLM_API_KEY="sk-not-to-be-seen", LLM_MODEL="m")
    assert done.returncode == 0
    assert "sk-not-to-be-seen" not in done.stdout
    assert "(set)" in done.stdout


def test_a_setting_says_where_it_comes_from(shell: Shell) -> None:
    done = shell.run("config", "explain", "TURNGATE_PORT", TURNGATE_PORT="9000")
    assert "9000" in done.stdout
    assert "environment" in done.stdout
    assert "8765" in done.stdout


def test_an_unknown_setting_gets_a_hint(shell: Shell) -> None:
    done = shell.run("config", "explain", "turngate_prot")
    assert done.returncode == 1
    assert "TURNGATE_PORT" in done.stderr
