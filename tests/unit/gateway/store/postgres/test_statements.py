"""What PostgreSQL makes of the statements both stores share."""

import re

import pytest

from gateway.store.base import catalog
from gateway.store.base.runs import AbandonedRuns, TakeRun
from gateway.store.postgres import statements
from gateway.store.statements import shared
from tests.unit.gateway.store.sqlite.test_statements import QUERIES

OPS = {catalog.statement_name(op): op for op in catalog.GUARDS}


@pytest.mark.parametrize("name", [*OPS, *QUERIES])
def test_every_statement_is_bound_without_marks_of_the_other_dialect(name: str) -> None:
    fields = OPS[name]._fields if name in OPS else tuple(QUERIES[name].__dataclass_fields__)  # type: ignore[attr-defined]  # each is a dataclass
    for callers_clock in (False, True):
        sql, used = statements.bound(name, fields, callers_clock=callers_clock)
        assert not re.search(r"clock\(:|INDEXED|/\*|\?\d", sql)
        places = set(map(int, re.findall(r"\$(\d+)", sql)))
        assert places == set(range(1, len(used) + 1))


def test_leases_go_by_the_clock_of_the_database() -> None:
    """The caller's now is used for a length alone, or not at all."""
    sql, used = statements.bound("abandoned_runs", ("now", "after", "limit"))
    assert used == ("after", "limit")
    assert "clock_timestamp()" in sql
    sql, _ = statements.bound("take_run", TakeRun._fields)
    assert sql.count("clock_timestamp()") == 2


def test_a_test_that_turns_time_by_hand_has_leases_follow() -> None:
    sql, used = statements.bound("abandoned_runs", ("now", "after", "limit"), callers_clock=True)
    assert "now" in used
    assert "clock_timestamp" not in sql


def test_an_unknown_field_is_an_error() -> None:
    with pytest.raises(ValueError, match="external_id"):
        statements.bound("find_input", ("channel", "account"))


def test_own_statements_are_those_that_sqlite_has_not() -> None:
    """One that both need stands in the shared file alone."""
    assert not statements.own().keys() & shared().keys()
    chosen = statements.Statements()
    assert set(chosen.writes) == set(catalog.GUARDS)
    assert [op.__name__ for op in chosen.locks] == ["ExpectIdle"]
    assert chosen.read(AbandonedRuns)[1] == ("after", "limit")
