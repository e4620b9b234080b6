"""The manifest and the tests agree."""

from __future__ import annotations

import importlib
import pkgutil

from tests import acceptance
from tests.acceptance.manifest import BEHAVIOURS, GAPS, PROMISES


def shown() -> dict[str, dict[str, tuple[str, ...]]]:
    """By module of this folder: its tests, and what each says it shows."""
    found = {}
    for module in pkgutil.iter_modules(acceptance.__path__, f"{acceptance.__name__}."):
        members = vars(importlib.import_module(module.name))
        tests = {name: test for name, test in members.items() if name.startswith("test_")}
        found[module.name] = {name: getattr(test, "shows", ()) for name, test in tests.items()}
    return found


def test_every_behaviour_has_a_test_and_every_test_names_behaviours_there_are() -> None:
    """A promise nobody tries to break is a wish."""
    tried = {
        behaviour
        for tests in shown().values()
        for behaviours in tests.values()
        for behaviour in behaviours
    }
    assert tried == BEHAVIOURS.keys()


def test_where_one_test_names_its_behaviours_all_do() -> None:
    """In a file about promises, a test without one belongs elsewhere."""
    for module, tests in shown().items():
        silent = [name for name, behaviours in tests.items() if not behaviours]
        assert not silent or len(silent) == len(tests), f"{module}: {silent}"


def test_every_promise_has_behaviours_and_every_gap_a_reason() -> None:
    """What cannot be tried yet is said, not skipped."""
    assert {behaviour.promise for behaviour in BEHAVIOURS.values()} == set(PROMISES)
    assert all(GAPS.values())
    assert len({behaviour.sentence for behaviour in BEHAVIOURS.values()}) == len(BEHAVIOURS)
