"""Front matter: the YAML between `---` fences on top of a Markdown file. Pure.

Only a mapping is taken, with no key twice. An unclosed fence is an error and not a body, because
what it meant to forbid would be lost. Called by whoever reads a file of the workspace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

FENCE = "---"
NO_WORD = "the front matter holds a key that is not a word"


class FrontMatterError(ValueError):
    """The front matter cannot be read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file in two parts. `values` is empty without front matter."""

    values: dict[str, Any]
    body: str


_TOO_DEEP = re.compile(r"(?:[\[{]\s*){50}")
"""Brackets the YAML reader would follow until the stack is full."""


def parse(text: str) -> Document:
    """Split and read; raises `FrontMatterError`."""
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != FENCE:
        return Document({}, "".join(lines))
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == FENCE:
            return Document(_mapping("".join(lines[1:number])), "".join(lines[number + 1 :]))
    raise FrontMatterError("the front matter is not closed: a line `---` is missing behind it")


def _mapping(text: str) -> dict[str, Any]:
    if _TOO_DEEP.search(text):
        raise FrontMatterError("the front matter is not YAML: brackets nested too deeply")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise FrontMatterError("the front matter is not a list of `key: value` lines")
        _refuse_repeated_keys(node)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = f" in line {error.problem_mark.line + 2}" if error.problem_mark else ""
        raise FrontMatterError(f"the front matter is not YAML{where}: {error.problem}") from error
    # Control characters, impossible dates, brackets without end.
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, FrontMatterError):
            raise
        raise FrontMatterError(f"the front matter is not YAML: {type(error).__name__}") from error
    if not all(isinstance(key, str) for key in values):
        raise FrontMatterError(NO_WORD)
    return dict(values)


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    """PyYAML would take the last one and say nothing."""
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise FrontMatterError(NO_WORD)
        if key.value in seen:
            raise FrontMatterError(f"the front matter holds {key.value!r} twice")
        seen.add(key.value)
