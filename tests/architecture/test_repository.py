"""What must hold for the files of the repository: locks, documented dependencies, bounds, SQL."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
LOCKS = tuple(f"requirements{which}.lock" for which in ("-build", "", "-dev", "-local"))
PACKAGES = ("gateway", "channels", "agents")
DESIGN = ROOT / "docs" / "design.md"


def parsed(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below the folders, with its path as people write it."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def declared_dependencies() -> set[str]:
    """Normalised names from every list of pyproject.toml: runtime, extras, groups."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    lists: list[list[Any]] = [
        data["project"]["dependencies"],
        *data["project"].get("optional-dependencies", {}).values(),
        *data["dependency-groups"].values(),
    ]
    return {
        normalised(re.split(r"[<>=!~;\[ ]", entry, maxsplit=1)[0])
        for entries in lists
        for entry in entries
        if isinstance(entry, str)
    }


def normalised(name: str) -> str:
    """One spelling a distribution, as packaging does it."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- locks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_name_no_host_and_no_machine(lock: str) -> None:
    """Where packages come from is the installer's configuration; hashes say which ones."""
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    place = re.compile(r"://|\w\.(org|com|net|io)\b|index-url|find-links|(^|\s)/")
    places = [line for line in lines if place.search(line)]
    assert not places, f"{lock} holds places: {places}"


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hash_every_pin(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text("utf-8"))
    bare = [e.split()[0] for e in entries if not e.startswith("#") and "--hash=sha256:" not in e]
    assert not bare


def test_the_locks_agree_and_cover_what_is_declared() -> None:
    """A developer tests what a user runs. `make lock` restores this."""
    pin = re.compile(r"^([\w.\-]+)(?:\[.*\])?==(\S+)", re.MULTILINE)
    build, runtime, dev, local = (
        dict(pin.findall((ROOT / lock).read_text("utf-8"))) for lock in LOCKS
    )
    assert build.items() <= dev.items()
    assert runtime.items() <= dev.items()
    assert declared_dependencies() <= {normalised(name) for name in (*dev, *local)}


# --- dependencies --------------------------------------------------------------------------------


def test_every_dependency_has_its_line_in_the_design_page() -> None:
    """The table in docs/design.md has the name first and the reason beside it."""
    rows = re.findall(r"^\|([^|]+)\|", DESIGN.read_text("utf-8"), re.MULTILINE)
    explained = {normalised(n) for row in rows for n in re.findall(r"[\w.\-]+", row)}
    missing = sorted(declared_dependencies() - explained)
    assert not missing, f"docs/design.md does not say why we depend on: {missing}"


# --- sources -------------------------------------------------------------------------------------


def test_every_module_opens_by_saying_what_it_is() -> None:
    silent = [path for path, tree in parsed(*PACKAGES, "benchmarks") if not ast.get_docstring(tree)]
    assert not silent, f"modules without a docstring: {silent}"


def test_every_queue_has_a_bound() -> None:
    found = [
        f"{path}:{line}" for path, tree in parsed(*PACKAGES) for line in unbounded_queues(tree)
    ]
    assert not found, f"give these a maxsize and say what happens when full: {found}"


def test_sql_is_never_assembled_from_values() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in parsed("gateway/store")
        for line in sorted(set(formatted_sql(tree)))
    ]
    assert not found, f"bind parameters, keep the text in a .sql file: {found}"


def unbounded_queues(tree: ast.AST) -> Iterator[int]:
    """Lines that make a standard queue without a positive bound."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in {
            "Queue",
            "LifoQueue",
            "PriorityQueue",
        }:
            bounds = node.args[:1] + [k.value for k in node.keywords if k.arg == "maxsize"]
            if not bounds or ast.unparse(bounds[0]) in {"0", "-1"}:
                yield node.lineno


SQL_CALLS = {"execute", "executemany", "executescript", "fetch", "fetchrow", "fetchval"}
SQL_WORDS = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|CREATE|ALTER|DROP|PRAGMA|SAVEPOINT)\b", re.I
)


def formatted_sql(tree: ast.AST) -> Iterator[int]:
    """Lines that hand a built string to a database, or build one that reads like a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in SQL_CALLS:
            yield from (a.lineno for a in node.args[:1] if _first_text(a) is not None)
        elif isinstance(node, ast.expr) and SQL_WORDS.match(_first_text(node) or ""):
            yield node.lineno


def _first_text(node: ast.expr) -> str | None:
    """The literal a built string starts with; None when the node builds no string.

    A pragma takes no parameters, so one whose placeholders are all `:d` passes: a number stays one.
    """
    match node:
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *rest]) if rest:
            return None if text.startswith("PRAGMA ") and _are_numbers(rest) else text
        case ast.JoinedStr(values=[ast.FormattedValue(), *_]):
            return ""
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod() | ast.Add()):
            return text
        case ast.BinOp(left=left, op=ast.Add()):
            return _first_text(left)
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            return text
        case ast.Call(func=ast.Attribute(attr="format")):
            return ""
    return None


def _are_numbers(parts: list[ast.expr]) -> bool:
    specs = [part.format_spec for part in parts if isinstance(part, ast.FormattedValue)]
    return all(spec and ast.unparse(spec).strip("f'\"") == "d" for spec in specs)


def _dotted(node: ast.expr) -> str:
    return ast.unparse(node.value if isinstance(node, ast.Subscript) else node)


# --- tests ---------------------------------------------------------------------------------------


def test_waits_of_tests_have_the_common_bound() -> None:
    """A few seconds by the wall clock are luck on a busy machine; what hangs ends all the same."""
    found = [f"{path}:{line}" for path, tree in parsed("tests") for line in hasty_waits(tree)]
    assert not found, f"use PATIENCE_S of tests.support.patience: {found}"


def hasty_waits(tree: ast.AST) -> Iterator[int]:
    """Lines that wait for something by the real clock, for a number of seconds that may not do.

    Up to half a second is for what must not come; manual clocks cost no time.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _dotted(node.func) in REAL_WAITS:
            bounds = [*node.args, *(keyword.value for keyword in node.keywords)][-1:]
            if any(
                isinstance(bound, ast.Constant)
                and isinstance(bound.value, int | float)
                and 0.5 < bound.value < PATIENCE_S
                for bound in bounds
            ):
                yield node.lineno


REAL_WAITS = {"asyncio.timeout", "asyncio.wait_for", "SystemClock().timeout"}


# --- the checks themselves -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("asyncio.timeout(4)", True),
        ("asyncio.wait_for(event.wait(), 4)", True),
        ("asyncio.wait_for(event.wait(), timeout=4.0)", True),
        ("SystemClock().timeout(20)", True),
        ("asyncio.timeout(PATIENCE_S)", False),
        ("asyncio.timeout(0.05)", False),
        ("clock.timeout(4)", False),
    ],
)
def test_the_wait_check_catches(source: str, caught: bool) -> None:
    assert bool(list(hasty_waits(ast.parse(source)))) is caught


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("asyncio.Queue()", True),
        ("asyncio.Queue[int]()", True),
        ("Queue(maxsize=0)", True),
        ("queue.PriorityQueue()", True),
        ("asyncio.Queue(20)", False),
        ("asyncio.Queue[int](maxsize=BOUND)", False),
        ("BoundedQueue()", False),
    ],
)
def test_the_queue_check_catches(source: str, caught: bool) -> None:
    assert bool(list(unbounded_queues(ast.parse(source)))) is caught


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ("db.execute(f'SELECT {x}')", True),
        ("db.execute(f'{x}')", True),
        ("db.execute('SELECT ' + x)", True),
        ("db.execute('SELECT ' + x + ' FROM t')", True),
        ("db.execute('SELECT %s' % x)", True),
        ("db.execute('SELECT {}'.format(x))", True),
        ("db.execute(text.format(x))", True),
        ("statement = f'delete from {table}'", True),
        ("db.execute(f'PRAGMA journal_mode = {x}')", True),
        ("db.execute(f'PRAGMA user_version = {x:d}')", False),
        ("db.execute('SELECT ?', (x,))", False),
        ("db.execute(f'SELECT 1', (x,))", False),
        ("db.execute(sql.CLAIM, (x + 1,))", False),
        ("message = f'updated {count} rows'", False),
        ("loop.run(f'selecting {x}')", False),
    ],
)
def test_the_sql_check_catches(source: str, caught: bool) -> None:
    assert bool(list(formatted_sql(ast.parse(source)))) is caught
