"""Settings: read once at start, validated together, frozen.

Flags > environment > `.env` > `turngate.toml` > defaults. An empty value counts as unset. All
problems are reported at once, each with its name, what came, from where, and what is expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway import setting_trust, setting_words
from gateway.core.errors import ConfigError
from gateway.core.trust import named_authorities
from gateway.setting_sources import Given, look

OPENAI_HOST = "api.openai.com"
OPENAI_URL = f"https://{OPENAI_HOST}/v1"
_POSTGRES = ("postgresql://", "postgres://")
TOKEN_FILE = "token"
"""File in the home folder that holds the operator's token."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]


LimitName = Literal["", "max_tokens", "max_completion_tokens", "none"]


class NumberedKey(BaseModel):
    """One further key: `LLM_API_KEY_1` and what is said of it under the same number."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, str_strip_whitespace=True)

    number: int
    api_key: SecretStr = Field(SecretStr(""), description="A further key.")
    base_url: str = Field(
        "", description="Where that key belongs; default: `LLM_BASE_URL`.", examples=[OPENAI_URL]
    )
    models: CommaList = Field(
        (),
        description="The models that server has; default: any, or `LLM_MODELS` where it is the "
        "same server.",
        examples=["small,large"],
    )
    tools: bool | None = Field(
        None,
        description="Whether it takes tools; default: true, or `LLM_TOOLS` where it is the same "
        "server.",
        examples=[False],
    )
    images: bool | None = Field(
        None,
        description="Whether it takes images; default: true, or `LLM_IMAGES` where it is the same "
        "server.",
        examples=[False],
    )
    stream_options: bool | None = Field(
        None,
        description="Whether it takes `stream_options`; default as for `LLM_TOOLS`.",
        examples=[False],
    )
    system_role: bool | None = Field(
        None,
        description="Whether it takes a system message; default as for `LLM_TOOLS`.",
        examples=[False],
    )
    parallel_calls: bool | None = Field(
        None,
        description="Whether it takes several tool calls in one message; default as for "
        "`LLM_TOOLS`.",
        examples=[False],
    )
    limit_name: LimitName = Field(
        "",
        description="What it calls the output limit; default: `LLM_LIMIT_NAME` where it is the "
        "same server.",
        examples=["max_completion_tokens"],
    )
    context_window: int = Field(
        0,
        ge=0,
        description="How many tokens its models take; default: `LLM_CONTEXT_WINDOW`.",
        examples=[32768],
    )
    output_limit: int = Field(
        0,
        ge=0,
        description="How many tokens an answer of its models may have; default: "
        "`LLM_OUTPUT_LIMIT` where it is the same server.",
        examples=[8192],
    )
    simultaneous_requests: int = Field(
        0,
        ge=0,
        description="Maximum of requests sent with it at a time; default: "
        "`LLM_SIMULTANEOUS_REQUESTS` where it is the same server.",
        examples=[4],
    )
    proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to it; default: none, or `LLM_PROXY` where it is the same "
        "server.",
    )
    requests_per_minute: int = Field(
        0,
        ge=0,
        description="Most requests a minute to one of its models; default: "
        "`LLM_REQUESTS_PER_MINUTE` where it is the same server.",
        examples=[60],
    )
    tokens_per_minute: int = Field(
        0,
        ge=0,
        description="Most tokens a minute, prompts and answers; default: `LLM_TOKENS_PER_MINUTE` "
        "where it is the same server.",
        examples=[100000],
    )

    def __str__(self) -> str:
        return f"LLM_API_KEY_{self.number} ({'set' if self.api_key else 'not set'})"


class Settings(BaseSettings):
    """Every setting; the environment variable is the name in capitals."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=True, hide_input_in_errors=True
    )

    _of_folder: frozenset[str] = PrivateAttr(frozenset())

    workspace_dir: Path = Field(
        Path("workspace"),
        description="Folder with `routes.json` and `.agents/<id>/AGENT.md`.",
        examples=["/srv/turngate/workspace"],
    )
    turngate_home: Path = Field(
        Path(".turngate"),
        description="Folder for what the gateway keeps: its database.",
        examples=["/var/lib/turngate"],
    )
    turngate_home_group: str = Field(
        "",
        description="Group whose members are all trusted with the home, by name or number, for a "
        "volume that is mounted for a group; `.env` and `turngate.toml` cannot set it. Default: "
        "only a group without another user.",
        examples=["2000"],
    )
    turngate_cache: Path | None = Field(
        None,
        description="Folder for what can be fetched again: the weights of the local model; "
        "default: `turngate` in `XDG_CACHE_HOME` or `~/.cache`.",
        examples=["/var/cache/turngate"],
    )
    turngate_store: str = Field(
        "",
        description="Path of the database file, `:memory:`, or the address of a PostgreSQL "
        "database as `postgresql://user:password@host/name`; default: a file in the home folder.",
        examples=["/var/lib/turngate/turngate.db"],
    )
    turngate_durability: Literal["normal", "strict"] = Field(
        "normal",
        description="`strict` flushes every write to disk, not only those that must survive a "
        "loss of power.",
        examples=["strict"],
    )
    turngate_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="How many processes `up` runs on one port; more than one needs PostgreSQL.",
        examples=["4"],
    )
    turngate_sockets: CommaList = Field(
        (),
        description="Numbers of sockets that a parent process has bound and passes on, instead of "
        "host and port; `up` with several processes sets it.",
        examples=["3"],
    )
    turngate_turns: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Maximum number of turns that run at once in a process, a quarter of them for "
        "people alone; 0 means no bound but what is scarce: memory, processor, model servers.",
        examples=[2],
    )
    turngate_turn_memory: int = Field(
        256,
        ge=16,
        le=1 << 20,
        description="MiB that running turns may take together, by the length of their transcripts; "
        "others wait.",
        examples=[1024],
    )
    turngate_keep_days: int = Field(
        30,
        ge=1,
        le=36_500,
        description="Days for which messages, answers and runs are kept once they have ended; "
        "conversations stay.",
        examples=[7],
    )
    turngate_keep_event_days: int = Field(
        7, ge=1, le=36_500, description="Days for which the log of events is kept.", examples=[30]
    )
    turngate_keep_events: int = Field(
        1_000_000,
        ge=1000,
        description="Most entries of the log of events; the oldest go first.",
        examples=[100_000],
    )
    turngate_lease: float = Field(
        30.0,
        ge=1.0,
        le=3600.0,
        description="Seconds after which other processes take over what a silent one was at.",
        examples=["10"],
    )
    turngate_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="How much is logged to stderr.", examples=["info"]
    )
    turngate_host: str = Field(
        "127.0.0.1",
        description="Address to listen on; several, separated by commas.",
        examples=["127.0.0.1,::1"],
    )
    turngate_port: int = Field(
        8765, ge=0, le=65535, description="Port; 0 picks a free one.", examples=[9000]
    )
    turngate_url: str = Field(
        "",
        description="Address of the gateway commands speak to; default: the one of the home.",
        examples=["http://127.0.0.1:8765"],
    )
    turngate_token: SecretStr = Field(
        SecretStr(""),
        description="The operator's token: preset for `up`, used by every other command.",
    )
    turngate_allowed_hosts: CommaList = Field(
        (),
        description="Names other than loopback that clients may address the gateway by.",
        examples=["gateway.example"],
    )
    turngate_allowed_origins: CommaList = Field(
        (),
        description="Web pages other than its own that may connect, as `https://host:port`.",
        examples=["https://chat.example"],
    )
    turngate_trusted_proxies: CommaList = Field(
        (),
        description="Addresses of reverse proxies whose forwarding headers are believed.",
        examples=["10.0.0.2"],
    )
    turngate_tls_cert: Path | None = Field(
        None, description="Certificate chain, PEM.", examples=["/etc/turngate/cert.pem"]
    )
    turngate_tls_key: Path | None = Field(
        None, description="Its private key, PEM.", examples=["/etc/turngate/key.pem"]
    )
    turngate_frame_bytes: int = Field(
        1 << 20,
        ge=64 << 10,
        le=4 << 20,
        description="Largest frame or request body of a client that is known, for batches and "
        "documents; at most 4 MiB, because one is read in one go while everybody else waits.",
        examples=[4 << 20],
    )
    turngate_connections: int = Field(
        1024,
        ge=64,
        le=1 << 20,
        description="Maximum number of connections: half of it from one address, a quarter of one "
        "credential; sixteen more for operators and newcomers.",
        examples=[4096],
    )
    turngate_client_memory: int = Field(
        128,
        ge=32,
        le=1 << 20,
        description="MiB that may wait for slow clients together, an eighth of it for those of one "
        "credential; past it the client that holds most is closed, and resumes by number.",
        examples=[512],
    )
    turngate_request_rate: int = Field(
        500,
        ge=1,
        le=1_000_000,
        description="Requests a second that one credential may make while others wait, and twice "
        "as many at once; past it they are refused as `rate_limited`. Not operators.",
        examples=[2000],
    )
    turngate_open_metrics: bool = Field(
        False, description="Whether `/metrics` is answered without a token.", examples=[True]
    )
    turngate_model: Literal["auto", "local", "scripted", "openai"] = Field(
        "auto",
        description="`auto` is `openai` when any LLM setting is there, else `local`.",
        examples=["openai"],
    )
    turngate_tasks: CommaList = Field(
        (),
        description="Durable tasks that may be started: `file.py:function` of the workspace, "
        "`module:function`, or an entry point's name, see "
        "[the tutorial](tutorials/durable-task.md).",
        examples=["tasks.py:report"],
    )
    llm_model: str = Field(
        "",
        description="Name of the model, as its provider spells it.",
        examples=["name-of-the-model"],
    )
    llm_base_url: str = Field(
        "",
        description="Where an OpenAI-compatible server listens, up to and with `/v1`.",
        examples=["http://127.0.0.1:11434/v1"],
    )
    llm_api_key: SecretStr = Field(SecretStr(""), description="Key for that server.")
    openai_api_key: SecretStr = Field(
        SecretStr(""),
        description="Key for OpenAI itself, where `LLM_API_KEY` is not set; sent nowhere else, and "
        "used only once `LLM_MODEL` is set.",
    )
    llm_models: CommaList = Field(
        (),
        description="The models that server has, where fallbacks are at others; default: any.",
        examples=["name-of-the-model"],
    )
    llm_tools: bool = Field(
        True,
        description="Whether that server takes tools; unless set, it is learnt from what the "
        "server says and refuses. So are the next four.",
        examples=[False],
    )
    llm_images: bool = Field(
        True, description="Whether that server takes images.", examples=[False]
    )
    llm_stream_options: bool = Field(
        True, description="Whether that server takes `stream_options`.", examples=[False]
    )
    llm_system_role: bool = Field(
        True,
        description="Whether that server takes a system message; otherwise its text goes before "
        "the first message of the user.",
        examples=[False],
    )
    llm_parallel_calls: bool = Field(
        True,
        description="Whether that server takes several tool calls in one message.",
        examples=[False],
    )
    llm_limit_name: LimitName = Field(
        "",
        description="What that server calls the output limit: `max_tokens` or "
        "`max_completion_tokens`; `none` leaves it out, and unset means that it is learnt.",
        examples=["max_completion_tokens"],
    )
    llm_output_limit: int = Field(
        0,
        ge=0,
        description="How many tokens an answer of its models may have; 0 means that it is learnt "
        "from the server.",
        examples=[8192],
    )
    llm_simultaneous_requests: int = Field(
        0,
        ge=0,
        description="Maximum of requests sent with that key at a time, the others wait in a fair "
        "line; 0 means that it is learnt from the server.",
        examples=[4],
    )
    llm_ca_file: Path | None = Field(
        None,
        description="Certificate authorities in PEM form that are trusted beside the system's, for "
        "a model server of your own; `SSL_CERT_FILE`, `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE` and "
        "`CURL_CA_BUNDLE` are added too.",
        examples=["/etc/ssl/company-ca.pem"],
    )
    llm_proxy: SecretStr = Field(
        SecretStr(""),
        description="Proxy on the way to that server, as `http://user:password@host:port`; "
        "`HTTP_PROXY` and its like are not looked at, as they would send a model on this machine "
        "through a proxy.",
    )
    llm_requests_per_minute: int = Field(
        0,
        ge=0,
        description="Most requests a minute with that key to one model, where the server does not "
        "say in its headers what is left; 0 means no bound.",
        examples=[60],
    )
    llm_tokens_per_minute: int = Field(
        0,
        ge=0,
        description="Most tokens a minute with that key of one model, prompts and answers.",
        examples=[100000],
    )
    llm_keys: tuple[NumberedKey, ...] = Field((), description="Further keys, by their numbers.")
    llm_fallback_models: CommaList = Field(
        (),
        description="Models to ask when `LLM_MODEL` cannot answer, in order.",
        examples=["another-model,a-small-one"],
    )
    llm_context_window: int = Field(
        0,
        ge=0,
        description="How many tokens the models take; 0 means that it is learnt from the server.",
        examples=[32768],
    )
    turngate_turn_calls: int = Field(
        64,
        ge=0,
        examples=["32"],
        description="Most model calls of one turn; 0 means no bound, as below.",
    )
    turngate_turn_seconds: float = Field(
        1800,
        gt=0,
        examples=["600"],
        description="Longest a turn may work, in seconds; what it waits for people or timers is "
        "not counted.",
    )
    turngate_turn_tokens: int = Field(
        0,
        ge=0,
        examples=["200000"],
        description="Most tokens of one turn, prompts and answers together.",
    )
    turngate_root_tokens: int = Field(
        0,
        ge=0,
        examples=["1000000"],
        description="Most tokens of one message with everything it sets off at other agents.",
    )
    turngate_session_day_tokens: int = Field(
        0, ge=0, examples=["500000"], description="Most tokens of one conversation in a day (UTC)."
    )
    turngate_agent_day_tokens: int = Field(
        0, ge=0, examples=["2000000"], description="Most tokens of one agent in a day (UTC)."
    )
    turngate_day_tokens: int = Field(
        0, ge=0, examples=["5000000"], description="Most tokens of everybody in a day (UTC)."
    )
    turngate_profile_strategy: Literal["ordered", "round_robin"] = Field(
        "ordered",
        description="Which key a new conversation starts with: the first that can answer, or "
        "each in turn.",
        examples=["round_robin"],
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
        return (init_settings, _Found(settings_cls))

    def located(self, of_folder: frozenset[str]) -> Settings:
        """These settings, knowing which of them came with the folder turngate is started in."""
        self._of_folder = of_folder
        return self

    def is_of_folder(self, name: str) -> bool:
        """Whether a setting came with the folder, and not from the user: see `setting_trust`."""
        return name in self._of_folder

    @property
    def home_group(self) -> str:
        """The group trusted with the home; empty where the folder itself names one."""
        return "" if self.is_of_folder("turngate_home_group") else self.turngate_home_group

    @property
    def provider(self) -> Literal["local", "scripted", "openai"]:
        """Who answers; `openai` is any OpenAI-compatible server."""
        if self.turngate_model != "auto":
            return self.turngate_model
        key = self.llm_api_key.get_secret_value()
        given = self.llm_model or self.llm_base_url or key or self.llm_keys
        return "openai" if given else "local"

    @property
    def uses_openai(self) -> bool:
        """Whether turns go to an OpenAI-compatible server."""
        return self.provider == "openai"

    @property
    def answering(self) -> str:
        """The model's name: the provider's own, or which of ours it is."""
        return self.llm_model if self.uses_openai else self.provider

    @property
    def model_key(self) -> str:
        """The key the model server gets; OpenAI's own goes to nobody but OpenAI."""
        own = self.llm_api_key.get_secret_value()
        if own or not _is_openai(self.llm_base_url or OPENAI_URL):
            return own
        return self.openai_api_key.get_secret_value()

    @property
    def authorities(self) -> tuple[Path, ...]:
        """Files and folders of certificate authorities that are trusted beside the system's."""
        own = (self.llm_ca_file,) if self.llm_ca_file else ()
        return (*own, *named_authorities(os.environ))

    def elsewhere(self, key: NumberedKey) -> bool:
        """Whether a key belongs to another server than the first: nothing said of that holds."""
        return key.base_url not in ("", self.llm_base_url or OPENAI_URL)

    def secrets(self) -> list[str]:
        """Values that must appear in no log."""
        values = [getattr(self, name) for name in type(self).model_fields]
        values += [secret for key in self.llm_keys for secret in (key.api_key, key.proxy)]
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return [*filter(None, secrets), *setting_words.passwords(self.turngate_store)]

    @property
    def postgres_url(self) -> str:
        """Address of the PostgreSQL database, with its password; empty when it is SQLite."""
        return self.turngate_store if self.turngate_store.startswith(_POSTGRES) else ""

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
        """The database file; None for memory, and where there is no file."""
        if self.turngate_store == ":memory:" or self.postgres_url:
            return None
        if self.turngate_store:
            return Path(self.turngate_store)
        return self.turngate_home / "turngate.db"


_NUMBERED = re.compile(r"llm_(\w+)_(\d+)", re.ASCII)
MAX_KEYS = 99
HERE = Path()
"""The folder whose `.env` and `turngate.toml` are read."""

KNOWN: dict[str, FieldInfo] = {
    name: field for name, field in Settings.model_fields.items() if name != "llm_keys"
} | {
    f"llm_{name}_{number}": field
    for number in range(1, MAX_KEYS + 1)
    for name, field in NumberedKey.model_fields.items()
    if name != "number"
}
"""Every name a setting may have, with what it takes."""


class _Found(PydanticBaseSettingsSource):
    """Everything below options. What is wrong in those places, `load_settings` tells."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return _assembled({name: given.value for name, given in look(KNOWN).given.items()})


def _assembled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbered values gathered into one key each, in the order of their numbers."""
    plain: dict[str, Any] = {}
    keys: dict[int, dict[str, Any]] = {}
    for name, value in values.items():
        match = None if name in Settings.model_fields else _NUMBERED.fullmatch(name)
        if match is None:
            plain[name] = value
        else:
            number = int(match[2])
            keys.setdefault(number, {"number": number})[match[1]] = value
    return {**plain, "llm_keys": tuple(keys[number] for number in sorted(keys))}


def load_settings(**flags: Any) -> Settings:
    """Read all sources; flags that are None count as not given.

    Raises `ConfigError` listing every problem.
    """
    settings, problems = read_settings(**flags)
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise ConfigError(
            f"the settings do not fit:{lines}\nWhat a setting takes: turngate config explain NAME"
        )
    return settings


def read_settings(**flags: Any) -> tuple[Settings, tuple[str, ...]]:
    """The settings with defaults where one is wrong, and every problem."""
    flags = {name: value for name, value in flags.items() if value is not None}
    found = look(KNOWN)
    given = {**found.given, **{name: Given("option", name.upper(), flags[name]) for name in flags}}
    wrong: set[str] = set()
    values = {name: each.value for name, each in given.items()}
    try:
        settings = Settings(**_assembled(values))
    except ValidationError as error:
        wrong = {_named(item["loc"], values) for item in error.errors(include_url=False)}
        kept = {name: value for name, value in values.items() if name not in wrong}
        defaults = {name: KNOWN[name].default for name in wrong}
        settings = Settings(**_assembled({**kept, **defaults}))
    together = {n: said for n, said in _together(settings).items() if n not in wrong}
    keys = setting_trust.misdirected_keys(given, HERE) if settings.uses_openai else {}
    for address, key in keys.items():
        together[address] = setting_trust.refusal(given[address], given[key])
    store = given.get("turngate_store")
    if store and settings.postgres_url and not setting_words.passwords(settings.turngate_store):
        together.update(setting_trust.password_refusal(store, os.environ, HERE))
    if keys:  # a caller that goes on in spite of problems must not be able to send them
        defaults = {name: KNOWN[name].default for name in {*wrong, *keys.values()}}
        settings = Settings(**_assembled({**values, **defaults}))
    home = () if "turngate_home" in given else ("turngate_home",)
    settings = settings.located(setting_trust.of_folder(given, HERE).union(home))
    problems = [
        *found.problems,
        *(
            f"{_place(name, given)}: takes {setting_words.takes(KNOWN[name])}"
            for name in sorted(wrong)
        ),
        *(f"{_place(name, given)}: {said}" for name, said in together.items()),
    ]
    return settings, (*problems, *found.doubts) if problems else ()


def doubts() -> tuple[str, ...]:
    """Names that look like settings and are none; they may be another program's."""
    return look(KNOWN).doubts


def sources() -> dict[str, Given]:
    """Where each setting that is no default comes from, options left out."""
    return dict(look(KNOWN).given)


def secret_files() -> dict[str, Path]:
    """The files that hold secrets, by the variable that names each."""
    given = look(KNOWN).given.values()
    return {each.name: each.file for each in given if each.file is not None}


def _named(place: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """The setting an error of the model is about."""
    match place:
        case ("llm_keys", int(index), str(field)):
            return f"llm_{field}_{_assembled(values)['llm_keys'][index]['number']}"
        case (name, *_):
            return str(name)
    raise AssertionError("every setting is checked by itself")


def _together(settings: Settings) -> dict[str, str]:
    """What only shows when settings are seen side by side, or in the middle of a text."""
    problems: dict[str, str] = {}
    if "://" in settings.turngate_store and not settings.postgres_url:
        problems["turngate_store"] = "should be a path, :memory: or postgresql://…"
    if settings.turngate_processes > 1 and not settings.postgres_url:
        problems["turngate_processes"] = (
            "several processes need a database they can share; set TURNGATE_STORE=postgresql://…"
        )
    if not all(number.isdecimal() for number in settings.turngate_sockets):
        problems["turngate_sockets"] = "should be numbers of open sockets, separated by commas"
    if settings.turngate_tls_key is not None and settings.turngate_tls_cert is None:
        problems["turngate_tls_cert"] = "missing, although TURNGATE_TLS_KEY is set"
    if not _is_address(settings.turngate_url, "http", "https", "ws", "wss"):
        problems["turngate_url"] = "should be an address like http://127.0.0.1:8765"
    problems.update(_of_models(settings))
    return problems


def _of_models(settings: Settings) -> dict[str, str]:
    problems: dict[str, str] = {}
    addresses = {"llm_base_url": settings.llm_base_url}
    addresses |= {f"llm_base_url_{key.number}": key.base_url for key in settings.llm_keys}
    for name, url in addresses.items():
        if not _is_address(url, "http", "https"):
            problems[name] = "should be an address like http://127.0.0.1:11434/v1"
    if not settings.uses_openai:
        return problems
    if not settings.llm_model:
        problems["llm_model"] = "missing, although another LLM setting is there"
    elif all(models and settings.llm_model not in models for models in _models_by_key(settings)):
        problems["llm_model"] = (
            "no key has this model; add it to LLM_MODELS, or to those of a numbered key"
        )
    if not settings.llm_base_url and not settings.model_key and not settings.llm_keys:
        problems["llm_api_key"] = "missing; or set LLM_BASE_URL to a server without keys"
    for key in settings.llm_keys:
        if not key.base_url and not key.api_key.get_secret_value():
            problems[f"llm_api_key_{key.number}"] = "missing"
    return problems


def _models_by_key(settings: Settings) -> list[tuple[str, ...]]:
    """The models each key is asked for; none means any."""
    first = settings.model_key or not settings.llm_keys
    return [
        *([settings.llm_models] if first else []),
        *(
            key.models or (() if settings.elsewhere(key) else settings.llm_models)
            for key in settings.llm_keys
        ),
    ]


def _is_openai(url: str) -> bool:
    """Over TLS alone: the key of OpenAI crosses no network in clear."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname, parts.port or 443) == ("https", OPENAI_HOST, 443)
    except ValueError:  # a port that is no number
        return False


def _is_address(url: str, *schemes: str) -> bool:
    """Or empty, which means none."""
    try:
        parts = urlsplit(url)
        return not url or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # a port that is no number
        return False


def _place(name: str, given: Mapping[str, Given]) -> str:
    if name not in given:
        return name.upper()
    each = given[name]
    secret = setting_words.is_secret(KNOWN[name])
    value = "" if secret else f" = {setting_words.masked(each.value)}"
    return f"{each.name}{value} ({each.place})"
