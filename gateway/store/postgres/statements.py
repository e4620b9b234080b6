"""The SQL of PostgreSQL: the shared statements in its words, and the few that only it has."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from typing import Any

from gateway.store import statements
from gateway.store.base import catalog
from gateway.store.postgres.order import OF_ONE_RUN

_PARAMETER = re.compile(r"(?<!:):(\w+)")
_LOCKING = re.compile(r"/\* (FOR SHARE) \*/")
_ADVICE = re.compile(r" INDEXED BY \w+")
_WORDS = [
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"/\* PostgreSQL: (.*?) \*/", r"\1"),
        (r" STRICT(, WITHOUT ROWID)?;", ";"),
        (r"\bordinal INTEGER\b", "ordinal bigint GENERATED ALWAYS AS IDENTITY"),
        (r"\bINTEGER\b", "bigint"),
        (r"\bTEXT\b", 'text COLLATE "C"'),
    )
]
"""What a script says to SQLite, and what PostgreSQL is told instead."""
_DATABASE_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_LOCK = "_lock"


@cache
def raw() -> dict[str, str]:
    """Every statement by its name, with its marks."""
    return statements.shared() | own()


@cache
def own() -> dict[str, str]:
    """The statements that only PostgreSQL has."""
    return _named("locks.sql") | _named("writer.sql")


def bound(
    name: str, fields: tuple[str, ...], *, callers_clock: bool = False
) -> tuple[str, tuple[str, ...]]:
    """The statement `name` with `:field` replaced by its number, and the fields in that order.

    A field the statement does not mention is left out: PostgreSQL takes no parameter without use.
    """
    text = _LOCKING.sub(r"\1", _ADVICE.sub("", raw()[name]))
    text = statements.CLOCK.sub(r"CAST(\1 AS BIGINT)" if callers_clock else _DATABASE_CLOCK, text)
    mentioned = set(_PARAMETER.findall(text))
    if unknown := mentioned - set(fields):
        raise ValueError(f"{name}: there is no field {', '.join(sorted(unknown))}")
    used = tuple(field for field in fields if field in mentioned)
    return _PARAMETER.sub(lambda match: f"${used.index(match[1]) + 1}", text), used


class Statements:
    """All statements with one choice of clock."""

    def __init__(self, *, callers_clock: bool = False) -> None:
        self._callers_clock = callers_clock
        self.writes = {cls: self._write(cls, "") for cls in catalog.GUARDS}
        self.locks = {
            cls: self._write(cls, _LOCK)
            for cls in catalog.GUARDS
            if f"{catalog.statement_name(cls)}{_LOCK}" in own()
        }
        """What has to be locked before an operation looks whether it may."""
        self.told = {cls: _telling(cls, *self.writes[cls]) for cls in OF_ONE_RUN}
        """Writes whose last column is the transaction's own number."""
        self._reads: dict[type[Any], tuple[str, tuple[str, ...]]] = {}

    def read(self, cls: type[Any]) -> tuple[str, tuple[str, ...]]:
        """The SQL of a query class and the names of its parameters, in order."""
        if cls not in self._reads:
            fields = tuple(field.name for field in dataclasses.fields(cls))
            name = catalog.statement_name(cls)
            self._reads[cls] = bound(name, fields, callers_clock=self._callers_clock)
        return self._reads[cls]

    def _write(self, cls: Any, suffix: str) -> tuple[str, tuple[int, ...]]:
        """The SQL of an operation, and the places of its parameters among its fields, in order."""
        name = f"{catalog.statement_name(cls)}{suffix}"
        sql, used = bound(name, cls._fields, callers_clock=self._callers_clock)
        return sql, tuple(cls._fields.index(field) for field in used)


def _telling(cls: Any, sql: str, places: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    """The same write; its rows, or else in one row their count, with the transaction's number."""
    around = own()["tell_rows" if catalog.GUARDS[cls].returns else "tell_count"]
    return around.replace("/* WRITE */", sql), places


def migrations() -> list[tuple[int, str]]:
    """The shared scripts in order, with the types of PostgreSQL; text is compared by code point."""
    return [(number, _translated(script)) for number, script in statements.migrations()]


def _translated(script: str) -> str:
    for pattern, words in _WORDS:
        script = pattern.sub(words, script)
    return script


def _named(file: str) -> dict[str, str]:
    return statements.named(statements.script(__package__, file))
