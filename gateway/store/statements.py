"""SQL from `.sql` files: the statements both stores share, and how statements are told apart.

`gateway/store/sql/` holds what both databases understand; what differs is marked in it and put
right by each store: `clock(:now)` is the caller's time, or the database's where several machines
share one, so that leases do not depend on their clocks; `/* FOR SHARE */` is a comment where nobody
else writes, and a lock elsewhere; `INDEXED BY` is advice that only SQLite takes. The tables come
from the numbered scripts in `migrations/`, which are in the words of SQLite.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

CLOCK = re.compile(r"\bclock\((:\w+)\)")
COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_FAMILIES = (
    "conversations",
    "inputs",
    "runs",
    "steps",
    "costs",
    "events",
    "outbox",
    "bindings",
    "agents",
    "profiles",
    "credentials",
    "retention",
)


@cache
def shared() -> dict[str, str]:
    """Every shared statement by its name, with its marks."""
    found: dict[str, str] = {}
    for family in _FAMILIES:
        statements = named(script(__package__, f"{family}.sql"))
        if twice := found.keys() & statements.keys():
            raise ValueError(f"{family}.sql: these statements exist already: {sorted(twice)}")
        found |= statements
    return found


def named(text: str) -> dict[str, str]:
    """The statements of a `.sql` file by the names their comments give them."""
    pieces = _NAME.split(text)[1:]
    return {
        name: COMMENT.sub("", body).strip().rstrip(";")
        for name, body in zip(pieces[::2], pieces[1::2], strict=True)
    }


def script(package: str, *path: str) -> str:
    """A file below the folder `sql` of a store."""
    return resources.files(package).joinpath("sql", *path).read_text(encoding="utf-8")


def migrations() -> list[tuple[int, str]]:
    """The numbered scripts that make the tables, in order; the last number is the schema's."""
    folder = resources.files(__package__).joinpath("sql", "migrations")
    names = sorted(item.name for item in folder.iterdir())
    return [(int(name[:4]), script(__package__, "migrations", name)) for name in names]
