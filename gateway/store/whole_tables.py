"""Statements about a whole table, whichever it is: its name cannot be bound, so it is checked.

Only for keeping a store. The tables and columns come from the schema itself, never from a user.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from string import Template

_NAME = re.compile(r"[a-z_]+")


def about(statement: str, table: str, columns: Sequence[str] = (), key: Sequence[str] = ()) -> str:
    """The statement for one table; raises `ValueError` for what is no name of ours."""
    strange = [name for name in (table, *columns, *key) if not _NAME.fullmatch(name)]
    if strange:
        raise ValueError(f"no names of tables or columns: {strange}")
    return _templates()[statement].substitute(
        table=table,
        columns=", ".join(columns),
        key=", ".join(key),
        places=", ".join(f"${number}" for number in range(1, len(columns) + 1)),
    )


@cache
def _templates() -> dict[str, Template]:
    return {name: Template(sql) for name, sql in pieces("tables.sql")}


def pieces(file: str) -> list[tuple[str, str]]:
    """The statements of a file under `sql/upkeep`, each behind its name."""
    text = (resources.files("gateway.store") / "sql" / "upkeep" / file).read_text("utf-8")
    split = (piece.partition("\n") for piece in text.split("-- name: ")[1:])
    return [(name.strip(), sql) for name, _, sql in split]
