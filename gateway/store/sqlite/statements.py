"""The statements in the words of SQLite: `:field` parameters bound by position.

An operation is a named tuple, so the tuple itself is the parameter list: `:field` becomes `?n` with
the field's place. Called once, when a store is opened.
"""

from __future__ import annotations

import dataclasses
import re
import sqlite3
from functools import cache
from typing import Any

from gateway.store import statements
from gateway.store.base import catalog

_PARAMETER = re.compile(r":(\w+)")


def bound(name: str, fields: tuple[str, ...]) -> str:
    """The statement `name` with `:field` replaced by its position among `fields`."""

    def position(match: re.Match[str]) -> str:
        return f"?{fields.index(match[1]) + 1}"

    # Nobody else uses this database: its clock is the caller's.
    return _PARAMETER.sub(position, statements.CLOCK.sub(r"\1", statements.shared()[name]))


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


def split(script: str) -> list[str]:
    """The statements of a script, told apart by SQLite's own rules; each ends its line."""
    found: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    if statements.COMMENT.sub("", rest).strip():
        raise ValueError(f"a script ends within a statement: {rest!r}")
    return found
