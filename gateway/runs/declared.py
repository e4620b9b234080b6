"""The tasks an operator has declared, found by their written names: no folder is searched.

`TURNGATE_TASKS` names each as `file.py:function` (a file of the workspace), `package.module:name`,
or the name of an entry point in the group `turngate.tasks`; `other=…` in front gives another name.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import cast

from gateway.core.errors import ConfigError
from gateway.runs.functions import TaskFunction

GROUP = "turngate.tasks"
"""Entry points of installed packages that may be named."""
TAKEN = frozenset({"turn"})
"""Names of the gateway's own tasks."""

_NAME = re.compile(r"[a-zA-Z_][\w.-]{0,63}")


def load_tasks(references: Iterable[str], workspace: Path) -> dict[str, TaskFunction]:
    """The functions by the names of their tasks.

    Raises `ConfigError` for the first that cannot be had, with what was looked for and why.
    """
    found: dict[str, TaskFunction] = {}
    for reference in references:
        given, _, target = reference.rpartition("=")
        name = given or target.rpartition(":")[2]
        if not _NAME.fullmatch(name) or name in TAKEN:
            raise ConfigError(
                f"TURNGATE_TASKS: {name!r} cannot be the name of a task; use letters, digits, "
                f"'_', '-' and '.', and not {', '.join(sorted(TAKEN))}"
            )
        if name in found:
            raise ConfigError(f"TURNGATE_TASKS: two tasks are called {name!r}; say other={target}")
        found[name] = _checked(reference, _load(reference, target, workspace))
    return found


def _load(reference: str, target: str, workspace: Path) -> object:
    place, _, function = target.rpartition(":")
    try:
        if not place:
            return _entry_point(reference, target)
        module = _file(workspace / place) if place.endswith(".py") else _module(place)
        return getattr(module, function)
    except ConfigError:
        raise
    # A boundary: it is the operator's code that is imported, and it may raise anything.
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise ConfigError(f"TURNGATE_TASKS: {reference!r} cannot be loaded: {said}") from error


def _entry_point(reference: str, name: str) -> object:
    for point in metadata.entry_points(group=GROUP, name=name):
        return point.load()
    raise ConfigError(
        f"TURNGATE_TASKS: no installed package has a task {reference!r} (entry point in the group "
        f"{GROUP!r}); for a file of the workspace write file.py:function"
    )


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _file(path: Path) -> ModuleType:
    # A name no import statement can spell, so that a file hides no package. Two tasks of one file
    # share its module.
    name = f"turngate task file {path.resolve()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look themselves up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _checked(reference: str, value: object) -> TaskFunction:
    fits = inspect.iscoroutinefunction(value)
    if fits:
        try:
            inspect.signature(cast("TaskFunction", value)).bind(None, None)
        except TypeError:
            fits = False
    if not fits:
        raise ConfigError(
            f"TURNGATE_TASKS: {reference!r} is {value!r}; a task is an async function of two "
            "arguments: async def task(ctx, input)"
        )
    return cast("TaskFunction", value)
