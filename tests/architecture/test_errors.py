"""No error is only declared: the sources raise each, and a test expects it by class or by kind."""

import ast
import re

import pytest

from gateway.core.errors import TABLE, Row, TurngateError
from tests.architecture.test_repository import PACKAGES, ROOT, parsed

HERE = "tests/architecture/test_errors.py"


def raised(tree: ast.AST) -> set[str]:
    """Names of what is made, raised bare, or handed to a store's guard to be raised."""
    found: list[ast.expr | None] = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func, keywords=keywords):
                found.append(func)
                found += [word.value for word in keywords if word.arg in ("refused", "duplicate")]
            case ast.Raise(exc=exc):
                found.append(exc)
    return {node.id for node in found if isinstance(node, ast.Name)}


def test_the_sources_raise_every_error_of_the_table() -> None:
    """An error nobody raises is a promise nobody keeps: raise it, or delete its row."""
    made = {name for _, tree in parsed(*PACKAGES) for name in raised(tree)}
    assert not [cls.__name__ for cls in TABLE if cls.__name__ not in made]


@pytest.fixture(scope="module")
def tests() -> str:
    """What all tests say, but for those that go through the whole table."""
    paths = [path for path in (ROOT / "tests").rglob("*.py") if "node_modules" not in path.parts]
    skipped = (HERE, "tests/unit/gateway/core/test_errors.py")
    return "\n".join(
        path.read_text("utf-8")
        for path in paths
        if path.relative_to(ROOT).as_posix() not in skipped
    )


@pytest.mark.parametrize(("cls", "row"), TABLE.items())
def test_a_test_expects_every_error_of_the_table(
    tests: str, cls: type[TurngateError], row: Row
) -> None:
    """By its class inside, by its kind outside."""
    assert re.search(rf"\b({cls.__name__}|{row.kind})\b", tests)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("raise Busy", {"Busy"}),
        ("raise Busy('full') from error", {"Busy"}),
        ("item.error = Busy('full')", {"Busy"}),
        ("Guard(refused=Busy)", {"Guard", "Busy"}),
        ("try: ...\nexcept Busy: raise", set()),
        ("Method(errors=(Busy,))", {"Method"}),
    ],
)
def test_the_check_catches(source: str, names: set[str]) -> None:
    """Catching or documenting an error is not raising it."""
    assert raised(ast.parse(source)) == names
