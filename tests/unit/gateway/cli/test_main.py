"""The command itself: help for all, nothing heavy for the top, completion, interrupts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway.cli.main import COMMANDS, everything, turngate
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

HEAVY = (
    "importlib.metadata",
    "pydantic",
    "starlette",
    "uvicorn",
    "websockets",
    "aiosqlite",
    "structlog",
    "openai",
)


def paths(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from paths(command, (*path, name))


@pytest.mark.parametrize("words", list(paths(everything())), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(turngate, [*words, "--help"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Usage: ")
    cut = [line for line in done.output.splitlines()[1:] if line.endswith("...")]
    assert not re.search(r"None|\[\]|\['", done.output.partition("\n")[2]), "Python's own words"
    assert not cut, "a sentence without its end"


def test_the_help_of_the_whole_loads_nothing_heavy(shell: Shell) -> None:
    """It must answer at once; how fast the machine is does not matter here."""
    script = (
        "import sys\n"
        "from gateway.cli.main import turngate\n"
        "turngate(['--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=shell.environment(),
        check=False,
    )
    assert done.stderr == "[]\n"
    assert all(name in done.stdout for name in COMMANDS)
    assert 'eval "$(_TURNGATE_COMPLETE=bash_source turngate)"\n' in done.stdout, "to be copied"


def test_a_command_that_is_not_there_is_a_wrong_command_line(shell: Shell) -> None:
    done = shell.run("snd")
    assert done.returncode == 2
    assert "Did you mean 'send'?" in done.stderr


def test_the_short_name_for_credentials_works_too() -> None:
    done = CliRunner().invoke(turngate, ["token", "create", "--help"])
    assert done.exit_code == 0
    assert "Usage: turngate token create" in done.output


def test_a_sentence_about_an_error_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        turngate(["status", "--home", "none"], prog_name="turngate")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 60


def test_an_output_that_cannot_be_written_is_a_sentence(shell: Shell) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "config", "explain", "LLM_MODEL"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            env=shell.environment(),
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr.startswith("turngate: No space left on device")
    assert "Traceback" not in done.stderr


def test_the_shell_completes_commands(shell: Shell) -> None:
    """click's own mechanism, under the name the installed script has."""
    done = subprocess.run(
        [sys.executable, "-c", "from gateway.cli.main import main; main()"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=shell.environment(
            _TURNGATE_COMPLETE="bash_complete", COMP_WORDS="turngate tu", COMP_CWORD="1"
        ),
        check=False,
    )
    assert done.stdout.split() == ["plain,turns"]
