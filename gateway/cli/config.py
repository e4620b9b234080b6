"""`turngate config`: what the settings are and where each came from; secrets stay masked."""

from __future__ import annotations

from collections.abc import Mapping

import click

from gateway.cli.options import JSON, Group
from gateway.cli.output import show
from gateway.core.errors import InvalidInput
from gateway.core.suggestions import did_you_mean
from gateway.settings import words
from gateway.settings.settings import KNOWN, Settings, load_settings, sources
from gateway.settings.sources import FILE_SUFFIX, Given


def command(name: str) -> click.Group:
    """The group with its two commands."""
    group = Group(name, help="Settings of the gateway that would start here.")
    group.add_command(
        click.Command(
            "show",
            params=[JSON],
            callback=_show,
            help="Every setting in force, and where it comes from.",
        )
    )
    group.add_command(
        click.Command(
            "explain",
            params=[click.Argument(["key"]), JSON],
            callback=_explain,
            help="One setting: what it does, what it takes, its value, where that came from.",
        )
    )
    return group


def _show(as_json: bool) -> None:
    settings, given = load_settings(), sources()
    rows = [
        {
            "setting": name.upper(),
            "value": _value(settings, name, given),
            "source": given[name].place if name in given else "default",
        }
        for name in KNOWN
        if name in Settings.model_fields or name in given
    ]
    show(rows, as_json=as_json)


def _explain(key: str, as_json: bool) -> None:
    name = key.strip().lower().replace("-", "_")
    if name not in KNOWN:
        hint = did_you_mean(
            name,
            map(str.upper, KNOWN),
            prefix=words.PREFIX,
            otherwise="see them all: turngate config show",
        )
        raise InvalidInput(f"there is no setting {key!r}; {hint}")
    settings, sourced = load_settings(), sources()
    field, given = KNOWN[name], sourced.get(name)
    secret = words.is_secret(field)
    facts = {
        "setting": name.upper(),
        "meaning": field.description or "",
        "takes": words.takes(field),
        "value": _value(settings, name, sourced),
        "source": f"{given.name} ({given.place})" if given else "default",
        "default": words.default(field),
        "example": words.example(field),
        "in turngate.toml": name,
        "from a file": f"{name.upper()}{FILE_SUFFIX}" if secret else "",
    }
    show({word: fact for word, fact in facts.items() if as_json or fact}, as_json=as_json)


def _value(settings: Settings, name: str, given: Mapping[str, Given]) -> str:
    if name in Settings.model_fields:
        return words.masked(getattr(settings, name))
    if name not in given:  # a numbered one, which has no field of its own
        return words.masked(KNOWN[name].default)
    return "(set)" if words.is_secret(KNOWN[name]) else words.masked(given[name].value)
