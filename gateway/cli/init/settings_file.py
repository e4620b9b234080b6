"""`turngate.toml` and `.env.example`, written from the settings themselves. Pure."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from gateway.settings import words
from gateway.settings.section import Section
from gateway.settings.settings import KNOWN, SECTIONS

HEAD = """\
# Settings of turngate. What is commented out has its default; remove the "# " to change it.
# An environment variable of the same name in capitals wins over this file, an option over both.
# Keys belong into .env, not in here. See them all: turngate config show
"""
ENV_HEAD = """\
# Secrets of turngate. Copy this file to .env, fill in what you need, and keep .env out of
# repositories. Each may also come from a file: LLM_API_KEY_FILE=/run/secrets/llm
"""


def settings_file(chosen: Mapping[str, Any]) -> str:
    """Every setting that is no secret, with what it does; those that were chosen are in force."""
    lines = [HEAD]
    for section in SECTIONS:
        lines += [f"# --- {section.title} ---", ""]
        for name, field in _fields(section):
            if not words.is_secret(field):
                lines += [*_comment(field), _line(name, field, chosen), ""]
    return "\n".join(lines)


def secrets_file() -> str:
    """Every secret, empty."""
    lines = [ENV_HEAD]
    for section in SECTIONS:
        for name, field in _fields(section):
            if words.is_secret(field):
                lines += [*_comment(field), f"# {name.upper()}=", ""]
    return "\n".join(lines)


def _fields(section: type[Section]) -> Iterator[tuple[str, FieldInfo]]:
    return ((name, field) for name, field in section.model_fields.items() if name in KNOWN)


def _comment(field: FieldInfo) -> list[str]:
    takes = words.takes(field)
    text = f"{field.description} Takes {takes}.".replace("`", "").replace("\n", " ")
    return textwrap.wrap(re.sub(r" +", " ", text), 96, initial_indent="# ", subsequent_indent="# ")


def _line(name: str, field: FieldInfo, chosen: Mapping[str, Any]) -> str:
    if name in chosen:
        return f"{name} = {_toml(chosen[name])}"
    default = field.default
    if default in (None, "", ()) and field.examples:
        return f"# {name} = {_toml(field.examples[0])}"
    return f"# {name} = {_toml(default)}"


def _toml(value: Any) -> str:
    match value:
        case bool() | int() | float():
            return json.dumps(value)
        case tuple() | list():
            return json.dumps(list(value), ensure_ascii=False)
        case _:  # a basic string of TOML is one of JSON, but for DEL
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
