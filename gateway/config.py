"""Settings: read once at start, validated together, frozen.

Flags > environment > `.env` > `turngate.toml` > defaults. An empty value counts as unset. All
problems are reported at once, each with its name, what came and what is expected.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
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

_NUMBERED = re.compile(
    r"llm_(api_key|base_url|models|tools|images|context_window)_([1-9]\d?)", re.ASCII
)


class NumberedKey(BaseModel):
    """One further key: `LLM_API_KEY_1` and what is said of it under the same number."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)

    number: int
    api_key: SecretStr = SecretStr("")
    base_url: str = ""
    models: CommaList = ()
    tools: bool = True
    images: bool = True
    context_window: int = Field(0, ge=0)

    def __str__(self) -> str:
        return f"LLM_API_KEY_{self.number} ({'set' if self.api_key else 'not set'})"


class _NumberedKeys(PydanticBaseSettingsSource):
    """Collects the numbered settings, which pydantic cannot declare one by one."""

    def __init__(
        self, settings_cls: type[BaseSettings], *found: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_cls)
        self._found = found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        keys: dict[int, dict[str, Any]] = {}
        for source in self._found:  # the first that has a name wins
            for name, value in _raw(source).items():
                match = _NUMBERED.fullmatch(name.lower())
                if match is not None and value not in ("", None):
                    number = int(match[2])
                    keys.setdefault(number, {"number": number}).setdefault(match[1], value)
        return {"llm_keys": tuple(keys[number] for number in sorted(keys))} if keys else {}


def _raw(source: PydanticBaseSettingsSource) -> dict[str, Any]:
    if isinstance(source, TomlConfigSettingsSource):
        return dict(source.toml_data)
    return dict(source.env_vars) if isinstance(source, EnvSettingsSource) else {}


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
    llm_keys: tuple[NumberedKey, ...] = Field(
        (),
        description="Further keys, set as `LLM_API_KEY_1`, `LLM_API_KEY_2`, … with "
        "`LLM_BASE_URL_1`, `LLM_MODELS_1`, `LLM_TOOLS_1`, `LLM_IMAGES_1` and "
        "`LLM_CONTEXT_WINDOW_1` beside them; a key without an address of its own belongs to "
        "`LLM_BASE_URL`.",
    )
    llm_fallback_models: CommaList = Field(
        (), description="Models to ask when `LLM_MODEL` cannot answer, in order."
    )
    llm_context_window: int = Field(
        0,
        ge=0,
        description="How many tokens the models take; 0 means that it is learnt from the server.",
    )
    turngate_profile_strategy: Literal["ordered", "round_robin"] = Field(
        "ordered",
        description="Which key a new conversation starts with: the first that can answer, or "
        "each in turn.",
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
        numbered = _NumberedKeys(settings_cls, env_settings, dotenv_settings, toml)
        return (init_settings, env_settings, dotenv_settings, toml, numbered)

    @property
    def uses_openai(self) -> bool:
        """Whether turns go to an OpenAI-compatible server."""
        if self.turngate_model != "auto":
            return self.turngate_model == "openai"
        key = self.llm_api_key.get_secret_value()
        return bool(self.llm_model or self.llm_base_url or key or self.llm_keys)

    def secrets(self) -> list[str]:
        """Values that must appear in no log."""
        numbered = [key.api_key.get_secret_value() for key in self.llm_keys]
        return [
            self.llm_api_key.get_secret_value(),
            self.turngate_token.get_secret_value(),
            *filter(None, numbered),
        ]

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
        key = settings.llm_api_key.get_secret_value()
        if not settings.llm_base_url and not key and not settings.llm_keys:
            problems.append("  LLM_API_KEY: missing; or set LLM_BASE_URL to a server without keys")
        problems += _no_address("LLM_BASE_URL", settings.llm_base_url)
        for numbered in settings.llm_keys:
            problems += _no_address(f"LLM_BASE_URL_{numbered.number}", numbered.base_url)
            if not numbered.base_url and not numbered.api_key.get_secret_value():
                problems.append(f"  LLM_API_KEY_{numbered.number}: missing")
    if problems:
        raise ConfigError("the settings do not fit:\n" + "\n".join(problems))


def _no_address(name: str, url: str) -> list[str]:
    if not url or url.startswith(("http://", "https://")):
        return []
    return [f"  {name}: {url!r} is no http:// or https:// address"]


def _problem(item: dict[str, Any]) -> str:
    name = ".".join(str(piece) for piece in item["loc"]).upper()
    return f"  {name}: {item['msg']}"


def _refuse_unknown(data: dict[str, Any]) -> None:
    """A misspelt name in the file would otherwise be a default in silence."""
    known = set(Settings.model_fields)
    problems: list[str] = []
    for name in data:
        if name not in known and _NUMBERED.fullmatch(name) is None:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"turngate.toml: there is no setting {name!r}{hint}")
    if problems:
        raise ConfigError("\n".join(problems))
