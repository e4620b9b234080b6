"""SQL from `.sql` files: named statements, `:field` parameters bound by position.

An operation is a named tuple, so the tuple itself is the parameter list: `:field` becomes `?n` with
the field's place. Called once, when a store is opened.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from functools import cache
from importlib import resources
from typing import Any

from gateway.store.base import catalog

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_PARAMETER = re.compile(r":(\w+)")
_CLOCK = re.compile(r"\bclock\((:\w+)\)")
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_FAMILIES = (
    "conversations",
    "inputs",
    "runs",
    "events",
    "outbox",
    "bindings",
    "agents",
    "profiles",
    "credentials",
    "retention",
)


@cache
def raw() -> dict[str, str]:
    """Every statement by its name, as written."""
    found: dict[str, str] = {}
    for family in _FAMILIES:
        statements = named(_read(f"{family}.sql"))
        if twice := found.keys() & statements.keys():
            raise ValueError(f"{family}.sql: these statements exist already: {sorted(twice)}")
        found |= statements
    return found


def named(text: str) -> dict[str, str]:
    """The statements of a `.sql` file by the names their comments give them."""
    pieces = _NAME.split(text)[1:]
    return {
        name: _COMMENT.sub("", body).strip().rstrip(";")
        for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def bound(name: str, fields: tuple[str, ...]) -> str:
    """The statement `name` with `:field` replaced by its position among `fields`."""

    def position(match: re.Match[str]) -> str:
        return f"?{fields.index(match[1]) + 1}"

    # Nobody else uses this database: its clock is the caller's.
    return _PARAMETER.sub(position, _CLOCK.sub(r"\1", raw()[name]))


@cache
def writes() -> dict[type, str]:
    """The SQL of every operation in the catalogue."""
    return {cls: bound(catalog.statement_name(cls), cls._fields) for cls in catalog.GUARDS}


def read(cls: type[Any]) -> tuple[str, tuple[str, ...]]:
    """The SQL of a query class and the names of its parameters, in order."""
    if cls not in _reads:
        fields = tuple(field.name for field in dataclasses.fields(cls))
        _reads[cls] = (bound(catalog.statement_name(cls), fields), fields)
    return _reads[cls]


_reads: dict[type[Any], tuple[str, tuple[str, ...]]] = {}


def migrations() -> list[tuple[int, str]]:
    """Numbered scripts in order."""
    folder = resources.files(__package__) / "sql" / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(int(name[:4]), _read(f"migrations/{name}")) for name in names]


def schema() -> str:
    """The whole schema as one script; a test proves it equals the sum of the migrations."""
    return _read("schema.sql")


def split(script: str) -> list[str]:
    """The statements of a script, told apart by SQLite's own rules; each ends its line."""
    found: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    if _COMMENT.sub("", rest).strip():
        raise ValueError(f"a script ends within a statement: {rest!r}")
    return found


def _read(name: str) -> str:
    path = resources.files(__package__) / "sql"
    for piece in name.split("/"):
        path = path / piece
    return path.read_text(encoding="utf-8")
