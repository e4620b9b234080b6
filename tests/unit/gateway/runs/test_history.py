"""Which records hold when a run is done again from a step."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotFound
from gateway.runs.history import holds, rest_from, rest_unfinished
from gateway.store.base.runs import RunEventRow
from gateway.store.base.steps import StepRow


def step(path: str, intent: str = "do", *, kind: str = "logic", **more: str) -> StepRow:
    effect, status = more.get("effect", "pure"), more.get("status", "completed")
    return StepRow(path, intent, kind, effect, "", status, 1, "null", None, 1, 2)


@pytest.mark.parametrize(
    ("path", "at", "held"),
    [
        ("0", "1", True),
        ("1", "1", False),
        ("10", "2", False),
        ("2", "10", True),
        ("1.a.0", "1", False),
        ("1.a.0", "2", True),
        ("1.a.0", "1.a.1", True),
        ("1.a.1", "1.a.1", False),
        ("1.b.7", "1.a.0", True),
        ("2", "1.a.0", False),
        ("0", "1.a.0", True),
        ("1!3", "1", False),
        ("1!3", "2", True),
        ("cancelled", "0", False),
    ],
)
def test_a_record_holds_before_the_step_and_beside_it(path: str, at: str, held: bool) -> None:
    """Positions count as numbers; what a stopped run said at last holds nowhere."""
    assert holds(path, at) is held


def test_what_does_not_hold_takes_its_events_with_it() -> None:
    """What it consumed and what was decided about it; others' events stay."""
    steps = [
        step("0"),
        step("1", "event:early", kind="event"),
        step("2", effect="unsafe"),
        step("2!1", "ask:decision:2:1", kind="event"),
        step("3", "event:go", kind="event"),
    ]
    events = [RunEventRow(key, "1", 1) for key in ("early", "go", "decision:2:1", "later")]
    rest = rest_from(steps, events, "2")
    assert [found.path for found in rest.kept] == ["0", "1"]
    assert rest.keys == {"go", "decision:2:1"}
    assert rest.repeated == ("2",)
    with pytest.raises(NotFound, match="no step '9'"):
        rest_from(steps, events, "9")


def test_a_branch_may_be_named_as_a_whole() -> None:
    """By its position, although that has no record of its own."""
    steps = [step("0"), step("1.a.0"), step("1.b.0")]
    assert [found.path for found in rest_from(steps, [], "1").kept] == ["0"]
    assert [found.path for found in rest_from(steps, [], "1.a").kept] == ["0", "1.b.0"]


def test_going_on_asks_again_and_waits_again() -> None:
    """What failed otherwise stays on record: its attempts count."""
    steps = [
        step("0"),
        step("1", "event:go", kind="event", status="failed"),
        step("2!1", "ask:decision:2:1", kind="event"),
        step("2", effect="unsafe", status="running"),
        step("3", status="failed"),
    ]
    rest = rest_unfinished(steps)
    assert [found.path for found in rest.kept] == ["0", "2", "3"]
    assert not rest.keys
