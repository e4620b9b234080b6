"""Settings of several keys: where they come from, what they are bound to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.composition.answering import profiles
from gateway.core.errors import ConfigError
from gateway.settings.settings import load_settings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TURNGATE_MODEL", "LLM_API_KEY", "OPENAI_API_KEY", "LLM_BASE_URL", "LLM_MODEL"):
        monkeypatch.delenv(name, raising=False)


def test_each_key_is_bound_to_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key without an address belongs to the common one, never to its neighbour's."""
    for name, value in {
        "LLM_MODEL": "big",
        "LLM_API_KEY": "k0",
        "LLM_BASE_URL": "http://common/v1",
        "LLM_API_KEY_2": "k2",
        "LLM_API_KEY_1": "k1",
        "LLM_BASE_URL_1": "http://other/v1",
        "LLM_MODELS_1": "small, tiny",
        "LLM_TOOLS_1": "false",
        "LLM_CONTEXT_WINDOW_1": "4096",
        "LLM_CONTEXT_WINDOW": "100000",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    found = profiles(settings)
    assert [(p.name, p.api_key, p.base_url, p.window) for p in found] == [
        ("default", "k0", "http://common/v1", 100_000),
        ("key-1", "k1", "http://other/v1", 4096),
        ("key-2", "k2", "http://common/v1", 100_000),
    ]
    assert found[1].models == ("small", "tiny")
    assert (found[1].tools, found[1].images) == (False, True)
    assert {"k0", "k1", "k2"} <= set(settings.secrets())
    assert not any(key in repr(settings) + str(settings.llm_keys[0]) for key in ("k1", "k2"))


def test_what_a_server_takes_holds_for_every_key_that_belongs_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "LLM_MODEL": "big",
        "LLM_MODELS": "big",
        "LLM_TOOLS": "false",
        "LLM_IMAGES": "false",
        "LLM_API_KEY": "k0",
        "LLM_API_KEY_1": "k1",
        "LLM_TOOLS_1": "true",
        "LLM_REQUESTS_PER_MINUTE": "60",
        "LLM_TOKENS_PER_MINUTE": "100000",
        "LLM_REQUESTS_PER_MINUTE_1": "30",
        "LLM_API_KEY_2": "k2",
        "LLM_BASE_URL_2": "http://other/v1",
    }.items():
        monkeypatch.setenv(name, value)
    found = profiles(load_settings())
    assert [(p.models, p.tools, p.images) for p in found] == [
        (("big",), False, False),
        (("big",), True, False),
        ((), True, True),
    ]
    limits = [(60, 100_000), (30, 100_000), (0, 0)]
    assert [(p.requests_a_minute, p.tokens_a_minute) for p in found] == limits


def test_numbered_keys_alone_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL", "big")
    monkeypatch.setenv("LLM_API_KEY_1", "k1")
    assert [(p.name, p.base_url) for p in profiles(load_settings())] == [
        ("key-1", "https://api.openai.com/v1")
    ]


def test_the_environment_wins_over_env_file_and_toml(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLM_API_KEY_1", "environment")
    (tmp_path / ".env").write_text("LLM_API_KEY_1=file\nLLM_API_KEY_2=file\n")
    (tmp_path / "turngate.toml").write_text(
        'llm_model = "big"\nllm_api_key_2 = "toml"\nllm_api_key_3 = "toml"\n'
    )
    assert [p.api_key for p in profiles(load_settings())] == ["environment", "file", "toml"]


def test_a_key_that_is_there_twice_is_one_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be asked twice for every failure."""
    for name in ("LLM_API_KEY", "LLM_API_KEY_1"):
        monkeypatch.setenv(name, "same")
    monkeypatch.setenv("LLM_MODEL", "big")
    assert [p.name for p in profiles(load_settings())] == ["default"]


def test_what_does_not_fit_is_said_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL", "big")
    monkeypatch.setenv("LLM_BASE_URL_4", "ftp://x")
    with pytest.raises(ConfigError) as raised:
        load_settings()
    assert "LLM_BASE_URL_4 = ftp://x (environment): should be" in str(raised.value)
    monkeypatch.delenv("LLM_BASE_URL_4")
    monkeypatch.setenv("LLM_MODELS_7", "small")
    with pytest.raises(ConfigError, match="LLM_API_KEY_7"):
        load_settings()


def test_a_model_that_no_key_has_is_said_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "LLM_MODEL": "big",
        "LLM_MODELS": "small",
        "LLM_API_KEY": "k0",
        "LLM_API_KEY_1": "k1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"LLM_MODEL = big .*no key has this model"):
        load_settings()
    monkeypatch.setenv("LLM_BASE_URL_1", "http://other/v1")
    assert [p.serves("big") for p in profiles(load_settings())] == [False, True]


def test_what_a_setting_says_of_a_member_is_not_learnt_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "LLM_MODEL": "big",
        "LLM_API_KEY": "k0",
        "LLM_TOOLS": "true",
        "LLM_STREAM_OPTIONS": "false",
        "LLM_LIMIT_NAME": "none",
        "LLM_OUTPUT_LIMIT": "512",
        "LLM_SIMULTANEOUS_REQUESTS": "2",
        "LLM_API_KEY_1": "k1",
        "LLM_STREAM_OPTIONS_1": "true",
        "LLM_SYSTEM_ROLE_1": "false",
        "LLM_API_KEY_2": "k2",
        "LLM_BASE_URL_2": "http://other/v1",
    }.items():
        monkeypatch.setenv(name, value)
    found = profiles(load_settings())
    assert [(set(p.without), set(p.pinned)) for p in found] == [
        ({"stream_options"}, {"tools"}),
        ({"system"}, {"tools", "stream_options"}),
        (set(), set()),
    ]
    assert [(p.limit_name, p.output, p.simultaneous) for p in found] == [
        *[("none", 512, 2)] * 2,
        ("", 0, 0),
    ]
