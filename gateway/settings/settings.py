"""All settings together, and reading them: the environment variable is the name in capitals.

Flags > environment > `.env` > `turngate.toml` > defaults. An empty value counts as unset. All
problems are reported together, each with its name, what came, from where, and what is expected.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.core.errors import ConfigError
from gateway.core.home import is_written_by_others
from gateway.settings import trust, words
from gateway.settings.folders import FolderSettings
from gateway.settings.keys import MAX_KEYS, NumberedKey
from gateway.settings.limits import LimitSettings
from gateway.settings.models import ModelSettings
from gateway.settings.network import NetworkSettings
from gateway.settings.section import Section
from gateway.settings.sources import Given, look
from gateway.settings.storage import StoreSettings
from gateway.settings.telemetry import TelemetrySettings

SECTIONS: tuple[type[Section], ...] = (
    FolderSettings,
    StoreSettings,
    NetworkSettings,
    ModelSettings,
    LimitSettings,
    TelemetrySettings,
)
"""In the order in which they are shown."""


class Settings(
    FolderSettings,
    StoreSettings,
    NetworkSettings,
    ModelSettings,
    LimitSettings,
    TelemetrySettings,
    BaseSettings,
):
    """Every setting."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
        defer_build=False,
    )

    _of_folder: frozenset[str] = PrivateAttr(frozenset())

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
        """Whether a setting came with the folder, and not from the user: see `trust`."""
        return name in self._of_folder

    @property
    def home_group(self) -> str:
        """The group trusted with the home; empty where the folder itself names one."""
        return "" if self.is_of_folder("turngate_home_group") else self.turngate_home_group

    def secrets(self) -> list[str]:
        """Values that must appear in no log."""
        values = [getattr(self, name) for name in type(self).model_fields]
        values += [secret for key in self.llm_keys for secret in (key.api_key, key.proxy)]
        secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
        return [*filter(None, secrets), *words.passwords(self.turngate_store)]

    @property
    def database(self) -> Path | None:
        """The database file; None for memory, and where there is no file."""
        if self.turngate_store == ":memory:" or self.postgres_url:
            return None
        if self.turngate_store:
            return Path(self.turngate_store)
        return self.turngate_home / "turngate.db"

    def problems(self) -> dict[str, str]:
        return {name: said for section in SECTIONS for name, said in section.problems(self).items()}


HERE = Path()
"""The folder whose `.env` and `turngate.toml` are read."""

_NUMBERED = re.compile(r"llm_(\w+)_(\d+)", re.ASCII)

KNOWN: dict[str, FieldInfo] = {
    name: field
    for section in SECTIONS
    for name, field in section.model_fields.items()
    if name != "llm_keys"
} | {
    f"llm_{name}_{number}": field
    for number in range(1, MAX_KEYS + 1)
    for name, field in NumberedKey.model_fields.items()
    if name != "number"
}
"""Every name a setting may have, with what it takes, in the order of the sections."""


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
    together = {n: said for n, said in settings.problems().items() if n not in wrong}
    keys = trust.misdirected_keys(given, HERE) if settings.uses_openai else {}
    for address, key in keys.items():
        together[address] = trust.refusal(given[address], given[key])
    store = given.get("turngate_store")
    if store and settings.postgres_url and not words.passwords(settings.turngate_store):
        together.update(trust.password_refusal(store, os.environ, HERE))
    planted = trust.planted(given, lambda place: is_written_by_others(HERE / place))
    together.update(planted)
    if keys or planted:  # a caller that goes on in spite of problems must not be able to use them
        defaults = {name: KNOWN[name].default for name in {*wrong, *keys.values(), *planted}}
        settings = Settings(**_assembled({**values, **defaults}))
    home = () if "turngate_home" in given else ("turngate_home",)
    settings = settings.located(trust.of_folder(given, HERE).union(home))
    problems = [
        *found.problems,
        *(f"{_place(name, given)}: takes {words.takes(KNOWN[name])}" for name in sorted(wrong)),
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


def _place(name: str, given: Mapping[str, Given]) -> str:
    if name not in given:
        return name.upper()
    each = given[name]
    secret = words.is_secret(KNOWN[name])
    value = "" if secret else f" = {words.masked(each.value)}"
    return f"{each.name}{value} ({each.place})"
