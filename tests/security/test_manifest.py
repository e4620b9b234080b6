"""The manifest of attacks and the tests agree, both ways."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.security.manifest import ATTACKS, TESTS

FOLDER = Path(__file__).parent


def named_in(path: Path) -> set[str]:
    """The tests of a file, as the manifest names them."""
    name = path.relative_to(FOLDER.parent).as_posix()
    nodes = ast.parse(path.read_text("utf-8")).body
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {f"{name}::{n.name}" for n in nodes if isinstance(n, kinds) and n.name[:5] == "test_"}


def test_every_attack_is_tried_by_tests_there_are() -> None:
    assert ATTACKS.keys() == TESTS.keys()
    for attack, names in TESTS.items():
        assert names, attack
        for name in names:
            path = FOLDER.parent / name.partition("::")[0]
            there = named_in(path) if path.exists() else set()
            assert name in there, f"{attack}: there is no {name}"


def test_every_test_here_stands_under_an_attack() -> None:
    written = set().union(*map(named_in, FOLDER.glob("test_*.py"))) - named_in(Path(__file__))
    listed = [name for names in TESTS.values() for name in names]
    assert written <= set(listed), written - set(listed)
    assert len(listed) == len(set(listed)), "one test, one attack"
