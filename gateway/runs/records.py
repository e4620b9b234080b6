"""What earlier executions of a run recorded, and whether a replay asks for the same.

Pure: a replay that asks for another step, other input or other branches is refused here before
anything is done. A path is `position`, or `position.name.position` inside a branch, and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.core.errors import InvalidInput, StepDivergence, StepInputMismatch
from gateway.store.base.steps import StepRow


class Records:
    """The recorded steps of one run by their paths."""

    def __init__(self, steps: Iterable[StepRow] = ()) -> None:
        self._steps = {step.path: step for step in steps}
        self._branches: dict[str, set[str]] = {}
        for path in self._steps:
            words = path.split(".")
            for place in range(1, len(words), 2):
                self._branches.setdefault(".".join(words[:place]), set()).add(words[place])

    @property
    def completed(self) -> int:
        """How many steps have their result."""
        return sum(step.status == "completed" for step in self._steps.values())

    def step(self, path: str, intent: str, mark: str = "") -> StepRow | None:
        """The record of a step at a path, if there is one.

        Raises `StepDivergence` when it is of something else, `StepInputMismatch` when it was made
        with other input than `mark` is the fingerprint of; an empty one is not compared.
        """
        if path in self._branches:
            raise StepDivergence(f"step {path}: recorded as branches, now {intent!r}")
        record = self._steps.get(path)
        if record is None:
            return None
        if record.intent != intent:
            raise StepDivergence(f"step {path}: recorded as {record.intent!r}, now {intent!r}")
        if mark and record.fingerprint and mark != record.fingerprint:
            raise StepInputMismatch(f"step {path} ({intent}): recorded with other input")
        return record

    def check_branches(self, path: str, names: Sequence[str]) -> None:
        """Raise `StepDivergence` when what is recorded at a path is not among these branches.

        Raises `InvalidInput` for names that would not make paths of their own.
        """
        if len(set(names)) < len(names) or any(not name or "." in name for name in names):
            raise InvalidInput(f"branches have names of their own, without dots; got {names}")
        record = self._steps.get(path)
        if record is not None:
            raise StepDivergence(f"step {path}: recorded as {record.intent!r}, now branches")
        gone = self._branches.get(path, set()).difference(names)
        if gone:
            raise StepDivergence(f"step {path}: the recorded branches {sorted(gone)} are missing")
