"""Settings in words, the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

from gateway.settings import words


class Shape(BaseModel):
    port: int = Field(1, ge=0, le=9, examples=[7])
    wait: float = Field(1.0, ge=0.5)
    most: int = Field(1, le=3)
    kind: Literal["a", "b"] = "a"
    path: Path | None = None
    words: tuple[str, ...] = ("x", "y")
    on: bool = False
    key: SecretStr = SecretStr("")


FIELDS = Shape.model_fields


@pytest.mark.parametrize(
    ("name", "takes", "default", "example"),
    [
        ("port", "a whole number from 0 to 9", "1", "7"),
        ("wait", "a number, at least 0.5", "1.0", ""),
        ("most", "a whole number, at most 3", "1", ""),
        ("kind", "one of a, b", "a", ""),
        ("path", "a path", "", ""),
        ("words", "words, separated by commas", "x,y", ""),
        ("on", "true or false", "false", ""),
        ("key", "text", "", ""),
    ],
)
def test_a_field_is_told_in_words(name: str, takes: str, default: str, example: str) -> None:
    field = FIELDS[name]
    assert words.takes(field) == takes
    assert words.default(field) == default
    assert words.example(field) == example


def test_secrets_and_passwords_in_addresses_are_masked() -> None:
    assert words.masked(SecretStr("sk-1")) == "(set)"
    assert words.masked(SecretStr("")) == "(not set)"
    shown = words.masked("postgresql://me:p@ss:w/rd@db/turngate")
    assert shown == "postgresql://me:***@db/turngate"
    shown = words.masked("postgresql://me:p@ss w?rd@db/turngate?password=s3&x=1")
    assert shown == "postgresql://me:***@db/turngate?password=***&x=1"


def test_passwords_in_an_address_are_found_as_written_and_unescaped() -> None:
    found = words.passwords("postgresql://me:p%40ss/w@db/gate?sslpassword=s%33&x=1")
    assert found == ["p%40ss/w", "s%33", "p@ss/w", "s3"]
    assert words.passwords("/var/lib/turngate.db") == []
