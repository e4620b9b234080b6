"""The tree of errors and the table that shows it outside."""

import inspect
import re
from collections.abc import Iterator

import pytest

from gateway.core import errors
from gateway.core.errors import (
    TABLE,
    Bug,
    Busy,
    CallerError,
    Conflict,
    DeliveryError,
    Duplicate,
    ModelFailed,
    OperatorError,
    Row,
    RunError,
    RunParked,
    TurngateError,
    describe,
)


def family(cls: type[TurngateError]) -> Iterator[type[TurngateError]]:
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from family(child)


EVERY = [TurngateError, *family(TurngateError)]
GROUPS = {TurngateError, CallerError, OperatorError, DeliveryError, RunError}
"""Classes that only gather others and are never raised."""


@pytest.mark.parametrize("cls", [cls for cls in EVERY if cls not in GROUPS])
def test_every_error_that_is_raised_has_a_row(cls: type[TurngateError]) -> None:
    """Its own, so that a client can tell it from its relatives."""
    assert cls in TABLE


def test_the_table_has_a_row_for_nothing_else() -> None:
    """A group's row would hide a class that was forgotten."""
    assert set(TABLE) == set(EVERY) - GROUPS


def test_kinds_are_unique_words() -> None:
    """Clients branch on them."""
    kinds = [row.kind for row in TABLE.values()]
    assert len(set(kinds)) == len(kinds)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", kind) for kind in kinds)


def test_codes_keep_the_meaning_others_gave_them() -> None:
    """Three are given by JSON-RPC and by editors' protocols; ours are in the range for servers."""
    given = {"invalid": -32602, "internal": -32603, "request_cancelled": -32800}
    for row in TABLE.values():
        if row.kind in given:
            assert row.code == given[row.kind]
        else:
            assert -32095 <= row.code <= -32000, "the range for servers"
            assert row.code not in (-32001, -32002), "taken by language servers"


def test_exit_codes_are_those_the_commands_promise() -> None:
    """1, 2, 69 unavailable, 75 try later, 77 not allowed, 78 configuration."""
    assert {row.exit_code for row in TABLE.values()} <= {1, 2, 69, 75, 77, 78}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Every class where it belongs, in the order of the file."""
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)(?:\s{2,}|$)", line)
        if found:
            depth = (len(found[1]) // 4) + (1 if "── " in line else 0)
            drawn.append((depth, found[2]))
    actual: list[tuple[int, str]] = []
    for name, cls in inspect.getmembers(errors, inspect.isclass):
        if issubclass(cls, TurngateError):
            # `Duplicate` is drawn beside the conflict it is a kind of.
            ancestors = [base for base in cls.__mro__[1:] if issubclass(base, TurngateError)]
            actual.append((len(ancestors) - (cls is Duplicate), name))
    assert sorted(drawn) == sorted(actual)


@pytest.mark.parametrize("cls", EVERY)
def test_every_error_says_a_sentence(cls: type[TurngateError]) -> None:
    """Without a message it says what its class is for."""
    summary = (cls.__doc__ or "").split("\n")[0]
    assert summary.endswith(".")
    if cls not in (ModelFailed, RunParked):
        assert str(cls()) == summary
        assert str(cls("because")) == "because"


def test_a_subclass_without_row_has_its_familys() -> None:
    """The nearest ancestor's, as Python looks it up."""

    class Stale(Duplicate):
        """Not in the table."""

    assert describe(Stale()) is TABLE[Duplicate]
    assert describe(Duplicate()) is not TABLE[Conflict]


@pytest.mark.parametrize("error", [KeyError("x"), TurngateError(), KeyboardInterrupt()])
def test_what_nobody_foresaw_is_a_bug(error: BaseException) -> None:
    """Foreign exceptions and bare groups alike."""
    assert describe(error) is TABLE[Bug]


def test_errors_carry_what_their_reader_needs() -> None:
    """When to try again, why the model failed, where the log has more, what a run waits for."""
    assert Busy("full", retry_after_ms=500).retry_after_ms == 500
    assert Busy().retry_after_ms is None
    failed = ModelFailed("rate", "slow down", retry_after_ms=9)
    assert (failed.category, str(failed), failed.retry_after_ms) == ("rate", "slow down", 9)
    assert Bug("oops", error_id="e1").error_id == "e1"
    parked = RunParked("approval", keys=("ok",))
    assert (parked.reason, parked.wake_at, parked.keys) == ("approval", None, ("ok",))
    assert "approval" in str(parked)


def test_what_a_command_calls_temporary_is_retryable() -> None:
    """The exit code and the wire say the same; nothing is retryable unless its row says so."""
    assert all(row.retryable for row in TABLE.values() if row.exit_code == 75)
    assert not Row(-32000, "x").retryable
