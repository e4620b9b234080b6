"""All settings are read once, and everything that is wrong with them is told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.core.errors import ConfigError
from gateway.settings.keys import OPENAI_URL
from gateway.settings.settings import Settings, load_settings, sources


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without the developer's own settings."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("TURNGATE_", "LLM_", "OPENAI_", "WORKSPACE_")):
            monkeypatch.delenv(name)


def refusal(**flags: object) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(**flags)
    return str(caught.value)


def test_an_option_wins_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_PORT", "2")
    assert load_settings().turngate_port == 2
    assert load_settings(turngate_port=1).turngate_port == 1
    assert load_settings(turngate_port=None).turngate_port == 2
    assert sources()["turngate_port"].place == "environment"


def test_all_problems_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names nobody knows, values of the wrong kind, and what does not go together."""
    Path("turngate.toml").write_text('prot = 3\nllm_base_url = "ftp://x"\n')
    monkeypatch.setenv("TURNGATE_PORT", "many")
    monkeypatch.setenv("TURNGATE_LOGLEVEL", "info")
    lines = refusal(turngate_durability="hard").splitlines()
    assert lines[1:-1] == [
        "  TURNGATE_LOGLEVEL (environment): there is no such setting; "
        "did you mean 'TURNGATE_LOG_LEVEL'?",
        "  prot (turngate.toml): there is no such setting; did you mean 'turngate_port'?",
        "  TURNGATE_DURABILITY = hard (option): takes one of normal, strict",
        "  TURNGATE_PORT = many (environment): takes a whole number from 0 to 65535",
        "  llm_base_url = ftp://x (turngate.toml): should be an address like "
        "http://127.0.0.1:11434/v1",
        "  LLM_MODEL: missing, although another LLM setting is there",
    ]
    assert "turngate config explain" in lines[-1]


def test_secrets_are_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-not-to-be-seen")
    monkeypatch.setenv("TURNGATE_URL", "gopher://me:hidden@host")
    said = refusal(turngate_port=-1)
    assert "sk-not-to-be-seen" not in said
    assert "hidden" not in said
    assert "gopher://me:***@host" in said


def test_every_secret_is_kept_out_of_logs() -> None:
    settings = Settings(
        llm_model="m",
        llm_api_key=SecretStr("one"),
        openai_api_key=SecretStr("two"),
        turngate_token=SecretStr("three"),
    )
    assert set(settings.secrets()) == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("url", "own", "sent"),
    [
        ("", "", "openai's"),
        (OPENAI_URL, "", "openai's"),
        ("https://llm.example/v1", "", ""),
        ("https://llm.example/v1", "own", "own"),
        ("", "own", "own"),
    ],
)
def test_the_key_of_openai_goes_to_openai_alone(url: str, own: str, sent: str) -> None:
    settings = Settings(
        llm_model="m",
        llm_base_url=url,
        llm_api_key=SecretStr(own),
        openai_api_key=SecretStr("openai's"),
    )
    assert settings.model_key == sent


def test_a_key_that_many_programs_know_does_not_choose_the_model() -> None:
    """Whoever has it set for another program still gets a gateway that starts."""
    key = SecretStr("sk")
    assert not Settings(openai_api_key=key).uses_openai
    assert Settings(openai_api_key=key, llm_model="m").uses_openai


def test_a_list_is_separated_by_commas_or_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_ALLOWED_HOSTS", "a, b,")
    Path("turngate.toml").write_text('turngate_trusted_proxies = ["c", "d"]\n')
    settings = load_settings()
    assert settings.turngate_allowed_hosts == ("a", "b")
    assert settings.turngate_trusted_proxies == ("c", "d")


@pytest.mark.parametrize("url", ["http://h", "https://h:1/x", "ws://h", "wss://h/ws"])
def test_the_address_of_a_gateway_may_be_any_a_client_takes(url: str) -> None:
    assert load_settings(turngate_url=url).turngate_url == url


@pytest.mark.parametrize("url", ["h:1", "http://", "http://h:port"])
def test_what_is_no_address_is_refused(url: str) -> None:
    assert "TURNGATE_URL" in refusal(turngate_url=url)


def test_a_key_for_tls_needs_a_certificate() -> None:
    assert "TURNGATE_TLS_CERT: missing" in refusal(turngate_tls_key="key.pem")


def test_a_slip_is_told_beside_what_it_leaves_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone it is no reason to refuse: another program may read it."""
    monkeypatch.setenv("LLM_MODLE", "m")
    load_settings()
    assert "did you mean 'LLM_MODEL'?" in refusal(llm_base_url="http://127.0.0.1:1/v1")
