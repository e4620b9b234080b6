"""Settings: read once at start, validated together, frozen.

Flags > environment > `.env` > `turngate.toml` > defaults. An empty value counts as unset. All
problems are reported at once, each with its name, what came and what is expected.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings.exceptions import SettingsError

from gateway.core.errors import ConfigError

OPENAI_URL = "https://api.openai.com/v1"
TOKEN_FILE = "token"
"""File in the home folder that holds the operator's token."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Every setting; the environment variable is the name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        toml_file="turngate.toml",
        env_ignore_empty=True,
        extra="ignore",  # the environment is full of other programs' names
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )

    workspace_dir: Path = Field(
        Path("workspace"), description="Folder with `routes.json` and `.agents/<id>/AGENT.md`."
    )
    turngate_home: Path = Field(
        Path(".turngate"), description="Folder for what the gateway keeps: its database."
    )
    turngate_cache: Path | None = Field(
        None,
        description="Folder for what can be fetched again: the weights of the local model; "
        "default: `turngate` in `XDG_CACHE_HOME` or `~/.cache`.",
    )
    turngate_store: str = Field(
        "", description="Path of the database file, or `:memory:`; default: in the home folder."
    )
    turngate_durability: Literal["normal", "strict"] = Field(
        "normal",
        description="`strict` flushes every write to disk, not only those that must survive a "
        "loss of power.",
    )
    turngate_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="How much is logged to stderr."
    )
    turngate_host: str = Field(
        "127.0.0.1", description="Address to listen on; several, separated by commas."
    )
    turngate_port: int = Field(8765, ge=0, le=65535, description="Port; 0 picks a free one.")
    turngate_url: str = Field(
        "", description="Address of the gateway commands speak to; default: the one of the home."
    )
    turngate_token: SecretStr = Field(
        SecretStr(""),
        description="The operator's token: preset for `up`, used by every other command.",
    )
    turngate_allowed_hosts: CommaList = Field(
        (), description="Names other than loopback that clients may address the gateway by."
    )
    turngate_allowed_origins: CommaList = Field(
        (), description="Web pages other than its own that may connect, as `https://host:port`."
    )
    turngate_trusted_proxies: CommaList = Field(
        (), description="Addresses of reverse proxies whose forwarding headers are believed."
    )
    turngate_tls_cert: Path | None = Field(None, description="Certificate chain, PEM.")
    turngate_tls_key: Path | None = Field(None, description="Its private key, PEM.")
    turngate_open_metrics: bool = Field(
        False, description="Whether `/metrics` is answered without a token."
    )
    turngate_model: Literal["auto", "scripted", "openai"] = Field(
        "auto", description="`auto` is `openai` when any LLM setting is there, else `scripted`."
    )
    llm_model: str = Field("", description="Name of the model, as its provider spells it.")
    llm_base_url: str = Field(
        "", description="Where an OpenAI-compatible server listens, up to and with `/v1`."
    )
    llm_api_key: SecretStr = Field(  # type: ignore[pydantic-alias]  # the second name is no attribute
        SecretStr(""),
        description="Key for that server; `OPENAI_API_KEY` is read too.",
        validation_alias=AliasChoices("llm_api_key", "openai_api_key"),
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls)
        _refuse_unknown(toml.toml_data)
        return (init_settings, env_settings, dotenv_settings, toml)

    @property
    def uses_openai(self) -> bool:
        """Whether turns go to an OpenAI-compatible server."""
        if self.turngate_model != "auto":
            return self.turngate_model == "openai"
        return bool(self.llm_model or self.llm_base_url or self.llm_api_key.get_secret_value())

    def secrets(self) -> list[str]:
        """Values that must appear in no log."""
        return [self.llm_api_key.get_secret_value(), self.turngate_token.get_secret_value()]

    @property
    def cache(self) -> Path:
        """The folder for what can be fetched again; raises `ConfigError` where there is no home."""
        if self.turngate_cache is not None:
            return self.turngate_cache
        try:
            return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "turngate"
        except RuntimeError as error:
            raise ConfigError("this user has no home folder; set TURNGATE_CACHE") from error

    @property
    def database(self) -> Path | None:
        """The database file; None for memory."""
        if self.turngate_store == ":memory:":
            return None
        if self.turngate_store:
            return Path(self.turngate_store)
        return self.turngate_home / "turngate.db"


def load_settings(**flags: Any) -> Settings:
    """Read all sources; flags that are None count as not given.

    Raises `ConfigError` listing every problem.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [_problem(dict(item)) for item in error.errors(include_url=False)]
        raise ConfigError("the settings do not fit:\n" + "\n".join(lines)) from error
    except (SettingsError, ValueError, OSError) as error:
        raise ConfigError(f"the settings cannot be read: {error}") from error
    _check_together(settings)
    return settings


def sources() -> dict[str, str]:
    """Where each setting that is not a default comes from: environment, `.env` or the file."""
    found: dict[str, str] = {}
    toml = TomlConfigSettingsSource(Settings)
    for source, where in (
        (toml, "turngate.toml"),
        (DotEnvSettingsSource(Settings), ".env"),
        (EnvSettingsSource(Settings), "environment"),
    ):
        for name in source():
            # The second name of a setting counts as the setting.
            field = "llm_api_key" if name == "openai_api_key" else name
            if field in Settings.model_fields:
                found[field] = where
    return found


def _check_together(settings: Settings) -> None:
    problems: list[str] = []
    if settings.turngate_store.startswith(("postgres:", "postgresql:")):
        problems.append("  TURNGATE_STORE: PostgreSQL is not there yet; give a file or :memory:")
    if settings.uses_openai:
        if not settings.llm_model:
            problems.append("  LLM_MODEL: missing, although another LLM setting is there")
        if not settings.llm_base_url and not settings.llm_api_key.get_secret_value():
            problems.append("  LLM_API_KEY: missing; or set LLM_BASE_URL to a server without keys")
        if settings.llm_base_url and not settings.llm_base_url.startswith(("http://", "https://")):
            problems.append(
                f"  LLM_BASE_URL: {settings.llm_base_url!r} is no http:// or https:// address"
            )
    if problems:
        raise ConfigError("the settings do not fit:\n" + "\n".join(problems))


def _problem(item: dict[str, Any]) -> str:
    name = ".".join(str(piece) for piece in item["loc"]).upper()
    return f"  {name}: {item['msg']}"


def _refuse_unknown(data: dict[str, Any]) -> None:
    """A misspelt name in the file would otherwise be a default in silence."""
    known = set(Settings.model_fields)
    problems: list[str] = []
    for name in data:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"turngate.toml: there is no setting {name!r}{hint}")
    if problems:
        raise ConfigError("\n".join(problems))
