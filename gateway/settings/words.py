"""A setting in words: what it takes, its default, an example, its value with secrets masked.

Help, error messages, the written `turngate.toml` and the documentation all use these, so they
cannot disagree. Pure; knows fields, not which settings there are.
"""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import unquote

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

WORDS: dict[object, str] = {
    Path: "a path",
    str: "text",
    SecretStr: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

PREFIX = "turngate_"

_PASSWORD = re.compile(r"(://[^:/@\s]*):(.*)@", re.DOTALL)
"""In an address, `user:password@host`: up to the last @, as one that was not escaped holds any."""
_SECRET_OPTION = re.compile(r"([?&](?:ssl)?password=)([^&#]*)", re.IGNORECASE)
"""In an address, a password among the options."""


def is_secret(field: FieldInfo) -> bool:
    """Whether its value is a secret, which is never shown."""
    return field.annotation is SecretStr


def takes(field: FieldInfo) -> str:
    """What may be written, `a whole number from 0 to 65535`."""
    low = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    high = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    words = _takes(field.annotation)
    if low is not None and high is not None:
        return f"{words} from {low} to {high}"
    if low is not None:
        return f"{words}, at least {low}"
    return words if high is None else f"{words}, at most {high}"


def default(field: FieldInfo) -> str:
    """The default as one would write it; empty for none."""
    return _written(field.default)


def example(field: FieldInfo) -> str:
    """An example value; empty where the field gives none."""
    return _written(field.examples[0]) if field.examples else ""


def masked(value: object) -> str:
    """A value as it may be shown."""
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    return _SECRET_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", _written(value)))


def passwords(address: str) -> list[str]:
    """The passwords in an address, as written and unescaped; none of them is empty."""
    found = [match[2] for match in _PASSWORD.finditer(address)]
    found += [match[2] for match in _SECRET_OPTION.finditer(address)]
    return [text for text in dict.fromkeys([*found, *map(unquote, found)]) if text]


def _takes(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(annotation))
    if get_origin(annotation) is types.UnionType:
        return _takes(next(kind for kind in get_args(annotation) if kind is not types.NoneType))
    if get_origin(annotation) is tuple:
        return "words, separated by commas"
    return WORDS.get(annotation, "text")


def _written(value: object) -> str:
    match value:
        case SecretStr() | None:
            return ""
        case bool():
            return str(value).lower()
        case tuple() | list():
            return ",".join(str(item) for item in value)
        case _:
            return str(value)
