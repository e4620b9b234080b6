"""`turngate config`: what the settings are and where each came from; secrets stay masked."""

from __future__ import annotations

import difflib

import click
from pydantic import SecretStr

from gateway.cli.output import show
from gateway.config import Settings, load_settings, sources
from gateway.core.errors import NotFound


def command(name: str) -> click.Group:
    """The group with its two commands."""
    group = click.Group(name, help="Settings of the gateway that would start here.")
    json_flag = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON for programs.")
    group.add_command(
        click.Command("show", params=[json_flag], callback=_show, help="Every setting in force.")
    )
    group.add_command(
        click.Command(
            "explain",
            params=[click.Argument(["key"]), json_flag],
            callback=_explain,
            help="One setting: what it does, its value, where that came from, its default.",
        )
    )
    return group


def _show(as_json: bool) -> None:
    settings = load_settings()
    values = {name.upper(): _masked(getattr(settings, name)) for name in Settings.model_fields}
    show(values, as_json=as_json)


def _explain(key: str, as_json: bool) -> None:
    name = key.lower()
    if name not in Settings.model_fields:
        near = difflib.get_close_matches(name, Settings.model_fields, n=1)
        hint = f"; did you mean {near[0].upper()}?" if near else ""
        raise NotFound(f"there is no setting {key!r}{hint}")
    info = Settings.model_fields[name]
    settings = load_settings()
    show(
        {
            "setting": name.upper(),
            "meaning": info.description or "",
            "value": _masked(getattr(settings, name)),
            "source": sources().get(name, "default"),
            "default": _masked(info.default),
        },
        as_json=as_json,
    )


def _masked(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)
