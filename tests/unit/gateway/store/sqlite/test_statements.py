"""The `.sql` files: complete, commented, bound to fields that exist, and never slow by accident."""

import dataclasses
import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from importlib import resources
from typing import Any, get_args

import pytest

from gateway.store import base
from gateway.store.base import catalog
from gateway.store.base.events import EventRow
from gateway.store.base.query import Query
from gateway.store.sqlite import statements
from gateway.store.sqlite.database import Database
from gateway.store.statements import shared

for _module in pkgutil.iter_modules(base.__path__, f"{base.__name__}."):
    importlib.import_module(_module.name)

OPS: dict[str, type[Any]] = {catalog.statement_name(op): op for op in catalog.GUARDS}
QUERIES: dict[str, type[Query[Any]]] = {
    catalog.statement_name(query): query
    for query in Query.__subclasses__()
    if query.__module__.startswith(base.__name__)
}
WRITERS_OWN: dict[str, tuple[str, ...]] = {
    "raise_head": ("count",),
    "append_event": EventRow._fields[:-1],
    "load_body": ("content_id",),
    "release_leases": (),
}
FIELDS: dict[str, tuple[str, ...]] = (
    {name: op._fields for name, op in OPS.items()}
    | {
        name: tuple(field.name for field in dataclasses.fields(query))  # type: ignore[arg-type]  # each is a dataclass
        for name, query in QUERIES.items()
    }
    | WRITERS_OWN
)
SCANS = {
    "count_attempts": "asked for by people, and bounded by retention",
    "count_deliveries": "asked for by people, and bounded by retention",
    "spent_since": "asked once, when a gateway with a budget starts",
    "list_agents": "all of them are wanted",
    "list_standings": "all of them are wanted",
    "list_bindings": "all of them are wanted",
    "list_credentials": "all of them are wanted",
    "open_inputs": "all of a partial index",
    "runs_to_stop": "all of a partial index",
    "stale_inputs": "all of a partial index",
    "wakeable_runs": "all of a partial index",
    "release_leases": "all of a partial index",
    "prune_blobs": "few results are long, and it is done once an hour",
    "purge_failed": "the first `limit` rows of a partial index",
    "prune_events": "the first `limit` rows of a table in its own order",
}
"""Statements that may walk over a whole table or index, and why that is fine."""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """An empty database with the schema."""
    opened = Database(None).connect_writer()
    yield opened
    opened.close()


def test_every_operation_and_query_has_a_statement_and_none_is_unused() -> None:
    """Adding one without the other fails here, by name."""
    assert set(shared()) == set(FIELDS)


def test_every_statement_has_a_comment() -> None:
    """A sentence under its name that says what the SQL does not."""
    folder = resources.files("gateway.store") / "sql"
    files = [item for item in folder.iterdir() if item.name.endswith(".sql")]
    commented = []
    for text in (item.read_text() for item in files):
        commented += re.findall(r"^-- name: (\w+)\n-- [A-Z].*$", text, re.MULTILINE)
    assert set(commented) == set(shared())
    assert len(commented) == len(set(commented))


@pytest.mark.parametrize("name", FIELDS)
def test_a_statement_takes_each_field_and_nothing_else(name: str) -> None:
    """The tuple itself is the parameter list: one field too many is one binding too many."""
    named = set(re.findall(r":(\w+)", shared()[name]))
    assert named == set(FIELDS[name])
    places = set(map(int, re.findall(r"\?(\d+)", statements.bound(name, FIELDS[name]))))
    assert places == set(range(1, len(FIELDS[name]) + 1))


@pytest.mark.parametrize("name", FIELDS)
def test_a_statement_walks_over_no_whole_table(name: str, connection: sqlite3.Connection) -> None:
    """It compiles against the schema, and what it looks for it finds by an index."""
    sql = statements.bound(name, FIELDS[name])
    parameters = [1] * len(FIELDS[name])
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
    scans = [row[3] for row in plan if row[3].startswith("SCAN") and "CONSTANT ROW" not in row[3]]
    assert bool(scans) is (name in SCANS), scans


@pytest.mark.parametrize("query", QUERIES.values(), ids=lambda query: query.__name__)
def test_a_query_gives_the_columns_of_its_row_in_order(
    query: type[Query[Any]], connection: sqlite3.Connection
) -> None:
    """Rows become named tuples by position, so a swapped column would go unnoticed."""
    (row,) = get_args(query.__orig_bases__[0])  # type: ignore[attr-defined]  # typing's own record
    sql, names = statements.read(query)
    cursor = connection.execute(sql, [1] * len(names))
    found = [column[0] for column in cursor.description]
    renamed = {"LogBounds": ["floor", "seq"], "StateCount": ["state", "count(*)"]}
    assert found == renamed.get(row.__name__, list(row._fields))


def test_parameters_are_bound_by_their_place() -> None:
    """However often and in whatever order a statement names them."""
    assert statements.bound("find_key", ("key", "method", "principal")).endswith(
        "WHERE principal = ?3 AND method = ?2 AND key = ?1"
    )
    with pytest.raises(ValueError, match="not in tuple"):
        statements.bound("find_key", ("key", "method"))


def test_a_script_is_split_by_sqlites_own_rules() -> None:
    """Semicolons in texts, comments and triggers end nothing."""
    script = (
        "-- a; b\n"
        "INSERT INTO t VALUES ('x;\ny');\n"
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n"
        "-- the end"
    )
    first, second = statements.split(script)
    assert first.endswith("y');\n")
    assert second.startswith("CREATE TRIGGER")
    assert second.endswith("END;\n")


def test_a_script_that_ends_within_a_statement_is_a_mistake() -> None:
    """Without its semicolon the last statement would be left out silently."""
    with pytest.raises(ValueError, match="DROP TABLE b"):
        statements.split("DROP TABLE a;\nDROP TABLE b\n")
