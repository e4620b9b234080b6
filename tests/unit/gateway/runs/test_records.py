"""A replay that asks for something else than what is recorded is refused before it does it."""

import pytest

from gateway.core.errors import InvalidInput, StepDivergence, StepInputMismatch
from gateway.runs.records import Records
from gateway.store.base.steps import StepRow


def a_step(
    path: str, intent: str = "work", *, status: str = "completed", mark: str = ""
) -> StepRow:
    return StepRow(path, intent, "logic", "pure", mark, status, 1, "null", None, 1, None)


@pytest.mark.parametrize("status", ["completed", "failed", "running"])
def test_another_intent_at_a_recorded_place_is_a_divergence(status: str) -> None:
    """Whatever became of the recorded step."""
    records = Records([a_step("0", "ask", status=status)])
    assert records.step("0", "ask") == a_step("0", "ask", status=status)
    with pytest.raises(StepDivergence, match="step 0: recorded as 'ask', now 'tell'"):
        records.step("0", "tell")


@pytest.mark.parametrize("status", ["completed", "failed", "running"])
def test_other_input_is_a_mismatch_unless_one_side_named_none(status: str) -> None:
    """Fingerprints are compared when both are there."""
    records = Records([a_step("0", status=status, mark="aa"), a_step("1", status=status)])
    with pytest.raises(StepInputMismatch, match="step 0"):
        records.step("0", "work", "bb")
    assert records.step("0", "work", "aa")
    assert records.step("0", "work")
    assert records.step("1", "work", "bb")


def test_what_was_never_recorded_is_nothing() -> None:
    """It is executed."""
    assert Records().step("0", "work") is None
    assert Records([a_step("0")]).step("1", "work") is None


def test_only_completed_steps_count_as_progress() -> None:
    """A step that was begun or failed has no result to go on from."""
    steps = [a_step("0"), a_step("1", status="running"), a_step("2", status="failed")]
    assert Records(steps).completed == 1


def test_a_branch_that_is_gone_is_a_divergence() -> None:
    """Its steps would never be asked for again; a new branch beside it is fine."""
    records = Records([a_step("0.left.0"), a_step("0.left.1.deep.0"), a_step("0.right.0")])
    records.check_branches("0", ["left", "right", "new"])
    records.check_branches("0.left.1", ["deep"])
    records.check_branches("5", ["left"])
    with pytest.raises(StepDivergence, match=r"\['left'\] are missing"):
        records.check_branches("0", ["right"])
    with pytest.raises(StepDivergence, match=r"step 0.left.1: .*\['deep'\]"):
        records.check_branches("0.left.1", ["shallow"])


def test_a_step_and_branches_cannot_stand_at_one_place() -> None:
    """In either order."""
    records = Records([a_step("0.left.0"), a_step("1", "ask")])
    with pytest.raises(StepDivergence, match="recorded as branches, now 'ask'"):
        records.step("0", "ask")
    with pytest.raises(StepDivergence, match="recorded as 'ask', now branches"):
        records.check_branches("1", ["left"])


@pytest.mark.parametrize("names", [["a", "a"], ["a.b"], [""]])
def test_branch_names_make_paths_of_their_own(names: list[str]) -> None:
    """Two branches that wrote to one path would read each other's results."""
    with pytest.raises(InvalidInput, match="names of their own"):
        Records().check_branches("0", names)
