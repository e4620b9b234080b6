"""`turngate init` as somebody new types it."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
from dotenv import dotenv_values

from gateway.cli.init import command
from gateway.cli.init.finding import Offer
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = pytest.mark.timeout(30)

FILES = {
    "workspace/.agents/main/AGENT.md",
    "workspace/routes.json",
    "turngate.toml",
    ".env.example",
    ".gitignore",
}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_second_time_keeps_everything_and_says_so(shell: Shell) -> None:
    first = shell.run("init", "--yes")
    assert first.returncode == 0, first.stderr
    assert {line.split()[1] for line in first.stdout.splitlines() if line[:4] == "made"} == FILES
    (shell.folder / "turngate.toml").write_text("turngate_port = 9000\n")
    told = shell.run("init", "--yes").stdout
    assert "turngate.toml says who answers" in told, (
        "the file that was kept, not what init would set"
    )
    second = json.loads(shell.run("init", "--json").stdout)
    assert set(second["kept"]) == FILES
    assert second["made"] == []
    assert (shell.folder / "turngate.toml").read_text() == "turngate_port = 9000\n"
    assert second["next"][-3:] == ["turngate doctor", "turngate up", 'turngate send "hello"']


def test_a_chosen_model_is_in_force(shell: Shell) -> None:
    done = shell.run(
        "init", "--yes", "--llm-model", "m", "--llm-base-url", "http://h/v1", "--dir", "new"
    )
    assert done.returncode == 0, done.stderr
    assert "cd new" in done.stdout
    assert tomllib.loads((shell.folder / "new" / "turngate.toml").read_text()) == {
        "llm_model": "m",
        "llm_base_url": "http://h/v1",
    }


def test_a_server_without_a_model_is_a_wrong_command_line(shell: Shell) -> None:
    done = shell.run("init", "--yes", "--llm-base-url", "http://h/v1")
    assert done.returncode == 2
    assert "--llm-model" in done.stderr
    assert not (shell.folder / "turngate.toml").exists()


def test_a_key_is_never_copied_without_being_asked_to(shell: Shell) -> None:
    done = shell.run("init", "--yes", GROQ_API_KEY="sk-not-to-be-copied")
    assert "GROQ_API_KEY" in done.stdout
    texts = [path.read_text() for path in shell.folder.rglob("*") if path.is_file()]
    assert not any("sk-not-to-be-copied" in text for text in [*texts, done.stdout, done.stderr])


def test_a_first_start_makes_a_workspace_and_says_so(shell: Shell) -> None:
    with shell.up() as (process, _):
        assert (shell.folder / "workspace" / ".agents" / "main" / "AGENT.md").exists()
        process.terminate()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert "AGENT.md, new and yours to edit" in err


# --- questions -----------------------------------------------------------------------------------


def answering(*answers: object) -> object:
    waiting = list(answers)

    def answer(question: str, **options: object) -> object:
        given = waiting.pop(0)
        return options["default"] if given is ... else given

    return answer


FOUND = [
    Offer("Ollama", "http://127.0.0.1:11434/v1", ("a", "b")),
    Offer("OpenAI", "https://api.openai.com/v1", variable="OPENAI_API_KEY"),
    Offer("Groq", "https://api.groq.com/openai/v1", variable="GROQ_API_KEY"),
]


def ask(found: list[Offer], *answers: object, copy: bool = False) -> command.Answers:
    return command.ask(found, answering(*answers), lambda *_, **__: copy)  # type: ignore[arg-type]


def test_enter_takes_the_server_that_is_there() -> None:
    answers = ask(FOUND, ..., ...)
    assert answers.settings == {"llm_model": "a", "llm_base_url": "http://127.0.0.1:11434/v1"}
    assert not answers.secrets


def test_enter_takes_none_where_nothing_is_there() -> None:
    assert ask([], ...) == command.Answers()


def test_the_key_of_openai_is_read_where_it_is() -> None:
    answers = ask(FOUND, 2, "some-model")
    assert answers.settings["llm_model"] == "some-model"
    assert not answers.secrets
    assert not answers.key_variable


@pytest.mark.parametrize("copy", [True, False])
def test_another_key_is_copied_only_if_wanted(copy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "sk-g")
    answers = ask(FOUND, 3, "some-model", copy=copy)
    assert answers.secrets == ({"LLM_API_KEY": "sk-g"} if copy else {})
    assert answers.key_variable == ("" if copy else "GROQ_API_KEY")


def test_another_server_is_asked_for_with_its_key(tmp_path: Path) -> None:
    answers = ask([], 1, "http://h/v1", "m", "k'e\\y")
    assert answers.settings == {"llm_model": "m", "llm_base_url": "http://h/v1"}
    assert answers.secrets == {"LLM_API_KEY": "k'e\\y"}
    command.write(tmp_path, answers)
    env = tmp_path / ".env"
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert dotenv_values(env) == answers.secrets
