"""Secrets and addresses of different sources, as `read_settings` judges them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.core.errors import ConfigError
from gateway.settings.settings import Settings, load_settings, read_settings

EVIL = "http://evil.example/v1"
KEY = "the-key-of-the-environment"
MODEL = {"LLM_MODEL": "m"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a stranger, as the working directory."""
    inside = tmp_path / "cloned"
    inside.mkdir()
    monkeypatch.chdir(inside)
    monkeypatch.delenv("TURNGATE_MODEL")
    return inside


def put(folder: Path, place: str, **settings: str) -> None:
    lines = (
        f"{name}={value}" if place == ".env" else f'{name.lower()} = "{value}"'
        for name, value in settings.items()
    )
    with (folder / place).open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def environ(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def refused() -> str:
    with pytest.raises(ConfigError) as error:
        load_settings()
    return str(error.value)


@pytest.mark.parametrize("place", [".env", "turngate.toml"])
@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("LLM_API_KEY", "LLM_BASE_URL"),
        ("LLM_API_KEY_2", "LLM_BASE_URL"),
        ("LLM_API_KEY_2", "LLM_BASE_URL_2"),
    ],
)
def test_a_key_of_the_environment_goes_to_no_address_of_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, key: str, address: str
) -> None:
    """The message names both places and the way out; the value kept back is empty."""
    put(folder, place, **MODEL, **{address: EVIL})
    environ(monkeypatch, **{key: KEY})
    said = refused()
    assert f"{EVIL} ({place})" in said
    assert f"{key} (environment) would be sent there" in said
    assert f"set {address}={EVIL} in the environment" in said
    assert KEY not in said
    assert KEY not in read_settings()[0].secrets()


def test_a_key_goes_where_its_own_source_or_a_better_one_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "turngate.toml", **MODEL, LLM_BASE_URL=EVIL)
    put(folder, ".env", LLM_API_KEY="of-the-folder")
    assert load_settings().model_key == "of-the-folder"
    environ(monkeypatch, LLM_BASE_URL="http://good.example/v1")
    assert load_settings().model_key == "of-the-folder"
    environ(monkeypatch, LLM_API_KEY=KEY)
    assert load_settings().model_key == KEY


def test_a_key_without_an_address_goes_to_openai(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "turngate.toml", **MODEL)
    environ(monkeypatch, LLM_API_KEY=KEY)
    assert load_settings().model_key == KEY


@pytest.mark.parametrize("model", ["scripted", "local"])
def test_a_key_that_is_not_sent_is_no_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    put(folder, ".env", **MODEL, LLM_BASE_URL=EVIL)
    environ(monkeypatch, LLM_API_KEY=KEY, TURNGATE_MODEL=model)
    assert load_settings().provider == model


@pytest.mark.parametrize("way", ["absolute", "dotted", "link"])
def test_a_folder_cannot_name_a_file_elsewhere_and_have_it_sent(
    folder: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Any one-line file of the user's would do, such as the token of another gateway."""
    secret = folder.parent / "secret"
    secret.write_text(KEY)
    (folder / "link").symlink_to(secret)
    named = {"absolute": str(secret), "dotted": "../secret", "link": "link"}[way]
    put(folder, ".env", **MODEL, LLM_BASE_URL=EVIL, LLM_API_KEY_FILE=named)
    said = refused()
    assert "LLM_API_KEY_FILE (.env) would be sent there" in said
    assert KEY not in said


def test_a_folder_may_name_a_file_of_its_own(folder: Path) -> None:
    (folder / "secret").write_text("of-the-folder")
    put(folder, ".env", **MODEL, LLM_BASE_URL=EVIL, LLM_API_KEY_FILE="secret")
    assert load_settings().model_key == "of-the-folder"


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://api.openai.com/v1", KEY),
        ("https://api.openai.com:443/v1", KEY),
        ("http://api.openai.com/v1", ""),
        ("https://api.openai.com:8443/v1", ""),
        ("https://api.openai.com.evil.example/v1", ""),
        ("https://api.openai.com@evil.example/v1", ""),
    ],
)
def test_the_key_of_openai_goes_to_openai_over_tls_alone(url: str, sent: str) -> None:
    settings = Settings(llm_model="m", llm_base_url=url, openai_api_key=KEY)  # type: ignore[arg-type]  # pydantic makes the secret
    assert settings.model_key == sent


def test_a_password_of_the_environment_goes_to_no_database_of_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ(monkeypatch, PGPASSWORD=KEY)
    put(folder, ".env", TURNGATE_STORE="postgresql://evil.example/t")
    said = refused()
    assert "TURNGATE_STORE = postgresql://evil.example/t (.env)" in said
    assert "PGPASSWORD (environment) would be sent there" in said
    assert KEY not in said
    environ(monkeypatch, TURNGATE_STORE="postgresql://good.example/t")
    assert load_settings().postgres_url.startswith("postgresql://good")


def test_a_database_with_its_own_password_gets_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ(monkeypatch, PGPASSWORD=KEY)
    put(folder, ".env", TURNGATE_STORE="postgresql://me:own@there.example/t")
    assert load_settings().postgres_url


@pytest.mark.parametrize("proxy", ["LLM_PROXY", "LLM_PROXY_2"])
def test_a_key_of_the_environment_goes_through_no_proxy_of_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    """A proxy reads what is sent to an `http` address."""
    environ(monkeypatch, **MODEL, LLM_API_KEY_2=KEY, LLM_BASE_URL_2="http://good.example/v1")
    assert load_settings().llm_keys
    put(folder, ".env", **{proxy: "http://user:hidden@evil.example"})
    said = refused()
    assert "LLM_API_KEY_2 (environment) would be sent there" in said
    assert "hidden" not in said
    assert KEY not in read_settings()[0].secrets()


@pytest.mark.parametrize("key", ["LLM_API_KEY", "LLM_API_KEY_2"])
def test_a_key_of_the_environment_is_not_vouched_for_by_the_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """Its authority could sign for any server that answers on the way."""
    environ(monkeypatch, **MODEL, **{key: KEY}, LLM_BASE_URL="https://good.example/v1")
    put(folder, ".env", LLM_CA_FILE="evil.pem")
    said = refused()
    assert f"{key} (environment) would be sent to servers that it vouches for" in said
    assert "set LLM_CA_FILE=evil.pem in the environment" in said
    assert KEY not in read_settings()[0].secrets()


GRANTING = {
    "TURNGATE_TASKS": "tasks.py:evil",
    "TURNGATE_TOKEN": "a-token-that-another-user-knows-0123456789",
    "TURNGATE_STORE": "planted.db",
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("place", [".env", "turngate.toml"])
@pytest.mark.parametrize("name", GRANTING)
def test_a_file_of_another_user_runs_no_code_and_lets_no_caller_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    """On a shared machine: the attacker waits until the user starts turngate in that folder."""
    default = getattr(Settings(), name.lower())
    put(folder, place, **{name: GRANTING[name]})
    assert getattr(load_settings(), name.lower()) != default
    os.chown(folder / place, 12_345, 12_345)
    said = refused()
    assert f"another user of this machine may write to {place}" in said
    assert f"set {name} in the environment" in said
    assert getattr(read_settings()[0], name.lower()) == default
    monkeypatch.setenv(name, GRANTING[name])
    load_settings()


@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_a_file_that_everybody_may_write_is_no_better(folder: Path, mode: int) -> None:
    put(folder, ".env", TURNGATE_TASKS="tasks.py:evil")
    (folder / ".env").chmod(mode)
    assert "runs code as you" in refused()
