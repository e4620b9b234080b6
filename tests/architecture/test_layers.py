"""Imports point down one written list; every forbidden edge has its reason here.

Add a module: nothing to do when its family is in LAYERS or ADAPTERS. Add a family: give it a place
in LAYERS, and take it out of PLANNED if it was waiting there. Move a family: change the list, the
picture in docs/design.md and the code in one commit.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import permutations
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gateway", "channels", "agents")
COMPOSITION = "gateway.composition"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("gateway.__main__",),
    ("gateway.cli",),
    (COMPOSITION,),
    (
        "gateway.http",
        "gateway.console",
        "gateway.simulate",
        "gateway.client",
        "gateway.conformance",
        "gateway.observing",
    ),
    ("gateway.rpc", "gateway.commands", "gateway.link"),
    ("gateway.running",),
    ("gateway.conversations",),
    ("gateway.turns",),
    ("gateway.schedules", "gateway.network", "gateway.work"),
    ("gateway.intake", "gateway.hosting"),
    ("gateway.runs", "gateway.delivery"),
    ("gateway.sessions", "gateway.routing", "gateway.identity"),
    ("gateway.events", "gateway.retention"),
    ("channels.base", "agents.base", "gateway.store.base", "gateway.wire"),
    ("gateway.net",),
    ("gateway.settings", "gateway.telemetry"),
    ("gateway.core",),
)
"""Top first. A module imports its own family and the lines below; a line's names are strangers."""

ADAPTERS = {
    "channels": "channels.base",
    "agents": "agents.base",
    "gateway.store": "gateway.store.base",
}
"""Beside the stack: everything in the package but its seam, and the seam it serves."""

ADAPTERS_MAY_IMPORT = ("gateway.wire", "gateway.telemetry", "gateway.net", "gateway.core")
"""Besides their own family and their own seam."""

PLANNED = frozenset(
    {
        "gateway.console",
        "gateway.net",
        "gateway.network",
        "gateway.schedules",
        "gateway.work",
    }
)
"""Families with a place and no module yet. A test fails when one of them appears."""

FAN_OUT = 15
"""Modules of ours one module may import. Past this it knows too much; the roots are exempt.

The files of one seam count as one: who speaks to the store speaks to one thing.
"""
ROOTS = (f"{COMPOSITION}.root", f"{COMPOSITION}.answering", f"{COMPOSITION}.serving")
"""Modules that put parts together: knowing many is their purpose."""
LISTS = ("gateway.running", "gateway.rpc.catalog", "gateway.conversations.conversations")
"""Modules that list things and do nothing: each line is one import, and that is their purpose."""

APART = (
    ("gateway.rpc", "gateway.store.base"),
    ("gateway.conversations", "gateway.wire"),
)
"""Edges that point down and are forbidden all the same; their reasons are below."""

REASONS: tuple[tuple[str, str, str], ...] = (
    # (importer, imported, why not): the first row that matches is printed.
    (
        "gateway.rpc",
        "gateway.store.base",
        "a handler converts shapes; what it reads or writes is a use case that commands, console "
        "and other surfaces call too",
    ),
    (
        "gateway.conversations",
        "gateway.wire",
        "a use case takes and returns plain values; each surface has shapes of its own",
    ),
    (
        "gateway.core",
        "*",
        "everything stands on core, so core stands on the standard library alone",
    ),
    (
        "*",
        "gateway.__main__",
        "the entry point guards the imports of all others, so it is never imported by them",
    ),
    (
        "*",
        "gateway.cli",
        "the command line is one user of the gateway; what it needs to share belongs further down",
    ),
    (
        "*",
        COMPOSITION,
        "the root knows every part; a part that knows the root knows every part too",
    ),
    (
        "gateway.*",
        "channels",
        "concrete channels are chosen in gateway.composition alone; speak to channels.base",
    ),
    (
        "gateway.*",
        "agents",
        "concrete agents, models and tools are chosen by the root alone; speak to agents.base",
    ),
    (
        "gateway.*",
        "gateway.store",
        "a store is chosen in gateway.composition alone; hand units to gateway.store.base",
    ),
    (
        "channels.base",
        "channels",
        "a seam that knows one of its implementations is no seam",
    ),
    (
        "agents.base",
        "agents",
        "a seam that knows one of its implementations is no seam",
    ),
    (
        "channels*",
        "*",
        "a channel can be read and tested by itself: what it needs of the gateway is a port in "
        "channels.base, injected by gateway.composition",
    ),
    (
        "agents*",
        "*",
        "an agent can be read and tested by itself: what it needs of the gateway is a port in "
        "agents.base, injected by gateway.composition",
    ),
    (
        "gateway.store",
        "*",
        "a store applies units and knows nothing of what they mean: another store must be able to "
        "take its place",
    ),
    (
        "gateway.store.base",
        "*",
        "the storage contract speaks of rows and guards, not of what the gateway does with them",
    ),
    (
        "gateway.wire",
        "*",
        "the protocol is sans-I/O: shapes and codes, usable by a client without the gateway",
    ),
    (
        "*",
        "gateway.http",
        "sockets are a surface; below it nobody knows whether a person, a cron or a test asked",
    ),
    (
        "*",
        "gateway.console",
        "pages are a surface; what they show comes from functions that RPC calls too",
    ),
    (
        "*",
        "gateway.observing",
        "the network root has the parts observed; a part that counts or checks itself would know "
        "Prometheus and health",
    ),
    (
        "*",
        "gateway.client",
        "the client speaks to a gateway over the wire; inside the gateway one calls functions",
    ),
    (
        "*",
        "gateway.link",
        "a connection to a gateway is for its clients; inside the gateway one calls functions",
    ),
    (
        "*",
        "gateway.conformance",
        "the checks look at a gateway from outside; what they share with it they cannot check",
    ),
    (
        "*",
        "gateway.simulate",
        "the simulator plays the upstream; the product must not depend on its own test partner",
    ),
    (
        "*",
        "gateway.rpc",
        "RPC methods are thin callers; logic that others need lives in what they call",
    ),
    (
        "*",
        "gateway.commands",
        "slash commands are thin callers; logic that others need lives in what they call",
    ),
    (
        "*",
        "gateway.running",
        "the list of all parts is for who stands above them; a part names what it needs itself",
    ),
    (
        "*",
        "gateway.conversations",
        "use cases are for surfaces; a part that they are made of works without them",
    ),
    (
        "*",
        "gateway.turns",
        "a turn is started by creating a run; only the surfaces look at turns themselves",
    ),
    (
        "*",
        "gateway.schedules",
        "a schedule is a source of input like a person: it calls intake, nobody below calls it",
    ),
    (
        "*",
        "gateway.network",
        "a peer is a source of input like a person: it calls intake, nobody below calls it",
    ),
    (
        "*",
        "gateway.work",
        "a task is a source of input like a person: it calls intake, nobody below calls it",
    ),
    (
        "*",
        "gateway.intake",
        "the one way in is called from above; what it calls must work without it",
    ),
    (
        "*",
        "gateway.hosting",
        "channels are started by the root and by operators; what is sent or accepted works without",
    ),
    (
        "*",
        "gateway.runs",
        "the run engine drives what it is handed; the parts a run uses do not know they are run",
    ),
    (
        "*",
        "gateway.delivery",
        "replies leave as outbox rows of a committed unit, never by a call to delivery",
    ),
    (
        "*",
        "gateway.sessions",
        "session keys live in core; what decides a route or logs an event works without sessions",
    ),
    (
        "*",
        "gateway.routing",
        "routing is a pure decision on bindings; a session takes its result, not its module",
    ),
    (
        "*",
        "gateway.identity",
        "who asks is settled at the surface; what is asked for works the same for everybody",
    ),
    (
        "*",
        "gateway.retention",
        "forgetting is started by the root on a timer; nobody's work may depend on it",
    ),
    (
        "*",
        "gateway.events",
        "the log is read by those above; settings, telemetry and the HTTP client come before it",
    ),
    (
        "gateway.*",
        "*.base",
        "a seam is what those above speak through; below it there is nobody to speak",
    ),
    (
        "*",
        "gateway.wire",
        "wire shapes belong to the edge; the ground floor has words of its own in core",
    ),
    (
        "*",
        "gateway.net",
        "settings and telemetry come before the first request and must not make one",
    ),
    (
        "*",
        "gateway.settings",
        "telemetry is handed its settings, so that a test can log without a configuration",
    ),
    (
        "*",
        "gateway.telemetry",
        "settings report problems as values; logging starts after them",
    ),
)


@dataclass(frozen=True)
class Family:
    """What the rules speak about: a name of LAYERS with its rank, or an adapter family."""

    name: str
    rank: int | None
    """Line in LAYERS, 0 on top; None for adapters."""


STACK = {name: Family(name, rank) for rank, line in enumerate(LAYERS) for name in line}
BESIDE = {name: Family(name, None) for name in ADAPTERS}
FAMILIES = (*STACK.values(), *BESIDE.values())


def family_of(module: str) -> Family | None:
    """The most specific family; None for the empty roots and for modules nobody has placed."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        if name in STACK:
            return STACK[name]
        if name in BESIDE and name != module:  # the package itself holds a docstring only
            return BESIDE[name]
    return None


def allows(importer: Family, imported: Family) -> bool:
    """Whether modules of one family may import modules of the other."""
    if importer == imported:
        return True
    if imported.rank is None:
        return importer.name == COMPOSITION
    if importer.rank is None:
        return imported.name in (ADAPTERS[importer.name], *ADAPTERS_MAY_IMPORT)
    return importer.rank < imported.rank and (importer.name, imported.name) not in APART


def reason(importer: Family, imported: Family) -> str:
    """Why this edge is forbidden, from REASONS."""
    return _row(importer, imported)[2]


def _row(importer: Family, imported: Family) -> tuple[str, str, str]:
    return next(
        row
        for row in REASONS
        if fnmatchcase(importer.name, row[0]) and fnmatchcase(imported.name, row[1])
    )


def violations(graph: grimp.ImportGraph) -> list[str]:
    """Every forbidden import as `module:line imports module: why not`."""
    return [
        f"{importer}{_line(graph, importer, imported)} imports {imported}: {reason(source, target)}"
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if (source := family_of(importer))
        and (target := family_of(imported))
        and not allows(source, target)
    ]


def _line(graph: grimp.ImportGraph, importer: str, imported: str) -> str:
    details = graph.get_import_details(importer=importer, imported=imported)
    return f":{details[0]['line_number']}" if details else ""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def test_imports_point_down(graph: grimp.ImportGraph) -> None:
    found = violations(graph)
    assert not found, "forbidden imports:\n  " + "\n  ".join(found)


def test_neither_store_is_built_on_the_other(graph: grimp.ImportGraph) -> None:
    """What both need is in `gateway.store` itself."""
    sqlite, postgres = "gateway.store.sqlite", "gateway.store.postgres"
    for importer, imported in ((sqlite, postgres), (postgres, sqlite)):
        assert not graph.find_shortest_chains(importer, imported, as_packages=True)


def test_every_module_has_a_place(graph: grimp.ImportGraph) -> None:
    packages = {*PACKAGES, *ADAPTERS}
    homeless = sorted(m for m in graph.modules if m not in packages and family_of(m) is None)
    assert not homeless, f"give these a line in LAYERS: {homeless}"


def test_every_listed_name_is_written_or_planned(graph: grimp.ImportGraph) -> None:
    missing = sorted(name for name in STACK if name not in graph.modules and name not in PLANNED)
    assert not missing, f"listed in LAYERS but no such module (typo, or moved?): {missing}"


def test_planned_names_are_still_to_come(graph: grimp.ImportGraph) -> None:
    arrived = sorted(PLANNED & graph.modules)
    assert not arrived, f"written by now, take them out of PLANNED: {arrived}"
    unknown = sorted(PLANNED - STACK.keys())
    assert not unknown, f"planned without a place in LAYERS: {unknown}"


def test_no_module_knows_too_many_others(graph: grimp.ImportGraph) -> None:
    wide = {
        module: len(imported)
        for module in sorted(graph.modules)
        if module not in (*ROOTS, *LISTS) and len(imported := _known(graph, module)) > FAN_OUT
    }
    assert not wide, f"a second concept lives in here, split it (more than {FAN_OUT}): {wide}"


def _known(graph: grimp.ImportGraph, module: str) -> set[str]:
    """What a module imports, a seam as one."""
    return {
        next((seam for seam in ADAPTERS.values() if name.startswith(f"{seam}.")), name)
        for name in graph.find_modules_directly_imported_by(module)
    }


def test_package_inits_hold_a_docstring_and_the_roots_their_marker() -> None:
    """The marker is checked by gateway.__main__; anything more would run at every import."""
    for path in _sources("__init__.py"):
        extra = [ast.unparse(node) for node in ast.parse(path.read_text("utf-8")).body[1:]]
        marker = ["DISTRIBUTION = 'turngate'"] if path.parent.parent == ROOT else []
        assert extra == marker, f"{path.relative_to(ROOT)} holds {extra}, expected {marker}"


def test_core_imports_the_standard_library_only() -> None:
    foreign = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _sources("*.py", below="gateway/core")
        for name in _imported_names(path)
        if not name.startswith("gateway.core") and name.split(".")[0] not in sys.stdlib_module_names
    ]
    assert not foreign, f"core stands on the standard library alone: {foreign}"


def test_a_planted_edge_is_reported_with_its_reason() -> None:
    """The rules themselves: one forbidden edge of each kind, and the edges that must stay legal."""
    graph = grimp.ImportGraph()
    legal = [
        ("gateway.composition.root", "channels.discord"),
        ("gateway.rpc.sessions", "gateway.runs.engine"),
        ("gateway.runs.engine", "gateway.runs.state"),
        ("agents.tools.fetch", "agents.turn"),
        ("agents.tools.fetch", "agents.base"),
        ("gateway.store.sqlite", "gateway.core.errors"),
    ]
    planted = {
        ("gateway.core.clock", "gateway.runs.engine"): "standard library alone",
        ("gateway.runs.engine", "gateway.delivery.worker"): "never by a call to delivery",
        ("gateway.intake", "gateway.turns.task"): "creating a run",
        ("gateway.cli", "channels.discord"): "gateway.composition alone",
        ("channels.discord", "gateway.sessions.keys"): "a port in channels.base",
        ("agents.turn", "channels.base"): "a port in agents.base",
        ("gateway.store.sqlite", "gateway.settings"): "another store must be able",
        ("gateway.rpc.methods.turns", "gateway.store.base.inputs"): "a handler converts shapes",
    }
    for importer, imported in [*legal, *planted]:
        graph.add_import(importer=importer, imported=imported)

    found = violations(graph)

    assert len(found) == len(planted), found
    for (importer, imported), why in planted.items():
        assert any(f"{importer} imports {imported}: " in line and why in line for line in found)


def test_every_forbidden_edge_has_a_reason_and_every_reason_an_edge() -> None:
    edges = [(a, b) for a, b in permutations(FAMILIES, 2) if not allows(a, b)]
    used = {_row(a, b) for a, b in edges}
    idle = [row[:2] for row in REASONS if row not in used]
    assert not idle, f"no forbidden edge reaches these rows: {idle}"


def _sources(pattern: str, *, below: str = "") -> Iterator[Path]:
    for package in (below,) if below else PACKAGES:
        yield from sorted((ROOT / package).rglob(pattern))


def _imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # `from gateway import core` names the module in the list, not before it.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
