"""Each place is read, the first that has a setting wins, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.settings import Settings
from gateway.settings.sources import DOTENV, ENVIRONMENT, TOML, Found, look


def looked(folder: Path, **environ: str) -> Found:
    return look(Settings.model_fields, environ=environ, folder=folder)


def test_environment_wins_over_dotenv_which_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLM_MODEL=b\nLLM_BASE_URL=http://b\n")
    (tmp_path / "turngate.toml").write_text(
        'llm_model = "c"\nllm_base_url = "http://c"\nturngate_port = 3\n'
    )
    found = looked(tmp_path, LLM_MODEL="a")
    places = {name: (given.place, given.value) for name, given in found.given.items()}
    assert places == {
        "llm_model": (ENVIRONMENT, "a"),
        "llm_base_url": (DOTENV, "http://b"),
        "turngate_port": (TOML, 3),
    }
    assert not found.problems


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_files_of_windows_editors_are_read(tmp_path: Path, mark: bytes) -> None:
    """A byte order mark and CRLF, as Notepad and PowerShell write them."""
    dotenv = f"LLM_MODEL=m\r\nLLM_API_KEY_FILE={tmp_path / 'key'}\r\n"
    (tmp_path / ".env").write_bytes(mark + dotenv.encode())
    (tmp_path / "turngate.toml").write_bytes(mark + b"turngate_port = 3\r\n")
    (tmp_path / "key").write_bytes(mark + b"sk-1\r\n")
    found = looked(tmp_path)
    assert {name: given.value for name, given in found.given.items()} == {
        "llm_model": "m",
        "llm_api_key": "sk-1",
        "turngate_port": 3,
    }
    assert not found.problems


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert not looked(tmp_path, LLM_MODEL=" ").given


def test_a_secret_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    found = looked(tmp_path, LLM_API_KEY_FILE=str(tmp_path / "key"))
    assert found.given["llm_api_key"].value == "sk-1"
    assert found.given["llm_api_key"].name == "LLM_API_KEY_FILE"


def test_a_secret_given_twice_in_one_place_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    found = looked(tmp_path, LLM_API_KEY="sk-2", LLM_API_KEY_FILE=str(tmp_path / "key"))
    [problem] = found.problems
    assert "LLM_API_KEY and LLM_API_KEY_FILE" in problem
    assert "sk-" not in problem


def test_a_secret_in_the_environment_wins_over_a_file_named_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLM_API_KEY_FILE=/nowhere\nLLM_MODEL=m\n")
    found = looked(tmp_path, LLM_API_KEY="sk-2")
    assert found.given["llm_api_key"].value == "sk-2"


@pytest.mark.parametrize("text", [None, b"", b"a\nb\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_holds_no_secret_is_named_without_its_content(
    tmp_path: Path, text: bytes | None
) -> None:
    path = tmp_path / "key"
    if text is not None:
        path.write_bytes(text)
    found = looked(tmp_path, TURNGATE_TOKEN_FILE=str(path))
    [problem] = found.problems
    assert problem.startswith(f"TURNGATE_TOKEN_FILE={path} (environment): ")
    assert len(problem) < 200 + len(str(path))
    assert "turngate_token" not in found.given


@pytest.mark.parametrize(
    ("name", "near"),
    [("TURNGATE_PROT", "TURNGATE_PORT"), ("TURNGATE_TOKEN_FLIE", "TURNGATE_TOKEN_FILE")],
)
def test_an_unknown_variable_is_a_problem_with_the_nearest_name(
    tmp_path: Path, name: str, near: str
) -> None:
    [problem] = looked(tmp_path, **{name: "x"}).problems
    assert problem == f"{name} (environment): there is no such setting; did you mean {near!r}?"
    (tmp_path / ".env").write_text(f"{name}=x\n")
    [problem] = looked(tmp_path).problems
    assert problem.startswith(f"{name} (.env)")


def test_only_a_secret_has_a_file(tmp_path: Path) -> None:
    assert looked(tmp_path, TURNGATE_PORT_FILE="x").problems


@pytest.mark.parametrize(
    "name",
    [
        "TURNGATE_CRASHPOINT",
        "TURNGATE_SERVICE_HOST",
        "TURNGATE_SERVICE_PORT_HTTP",
        "TURNGATE_PORT_8765_TCP_ADDR",
        "OTHER",
    ],
)
def test_names_of_others_are_left_alone(tmp_path: Path, name: str) -> None:
    """Kubernetes adds some to every pod beside a service that is called turngate."""
    assert not looked(tmp_path, **{name: "x"}).problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port = 3\n", "port (turngate.toml): there is no such setting; did you mean 'turngate"),
        ("TURNGATE_PORT = 3\n", "did you mean 'turngate_port'?"),
        ("zebra = 3\n", "see them all"),
        ("[server]\nport = 3\n", "[server] (turngate.toml): settings stand at the top"),
        ("llm_model = m\n", "not TOML"),
    ],
)
def test_what_the_file_says_wrongly_is_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "turngate.toml").write_text(text)
    [problem] = looked(tmp_path).problems
    assert said in problem


def test_a_line_of_dotenv_that_sets_nothing_is_told_and_the_others_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A key behind a forgotten equals sign would be missed without a word."""
    (tmp_path / ".env").write_text("LLM_MODEL=m\nLLM_API_KEY sk-1\nexport TURNGATE_PORT=9\n")
    found = looked(tmp_path)
    assert [problem.rpartition("/")[2] for problem in found.problems] == [
        ".env line 2: not NAME=value"
    ]
    assert {name: each.value for name, each in found.given.items()} == {
        "llm_model": "m",
        "turngate_port": "9",
    }
    assert not caplog.records


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "turngate.toml").write_bytes(b"\xff")
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    assert len(looked(tmp_path).problems) == 2


@pytest.mark.parametrize(
    ("name", "near"),
    [("LLM_MODLE", "LLM_MODEL"), ("LLM_APIKEY", "LLM_API_KEY"), ("LLM_URL", "LLM_BASE_URL")],
)
def test_a_name_other_programs_might_have_is_a_doubt(tmp_path: Path, name: str, near: str) -> None:
    (tmp_path / ".env").write_text(f"{name}=x\n")
    found = looked(tmp_path, LLM_USER_PATH="theirs")
    assert not found.problems
    assert found.doubts == (f"{name} (.env) is no setting of turngate; did you mean {near!r}?",)
