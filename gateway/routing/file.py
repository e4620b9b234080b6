"""The route file: read, checked as a whole, turned into bindings, default agent and identities.

Every problem is found before any is reported; a file with an error is refused and nothing of it is
used. Whether the last good table is kept is for the caller to say: start and reload differ there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from gateway.core.errors import ConfigError, InvalidInput
from gateway.core.ids import AgentId
from gateway.core.keys import normalise_agent_id
from gateway.routing.bindings import Binding, Source, derived_id, id_clashes
from gateway.routing.entry import AgentName, read_binding
from gateway.routing.identities import Address, Identities, parse_address
from gateway.routing.problems import InvalidRoutes, Problem, Severity, json_path
from gateway.routing.shapes import Shape, checked

FILE_NAME = "routes.json"


def _address_text(value: str) -> str:
    try:
        parse_address(value)
    except InvalidInput as error:
        raise PydanticCustomError("address", "{reason}", {"reason": str(error)}) from error
    return value


def _person_name(value: str) -> str:
    if not value or ":" in value:  # one with a colon could be taken for an address
        raise PydanticCustomError("person", "a name is not empty and has no colon")
    return value


AddressText = Annotated[str, AfterValidator(_address_text)]
PersonName = Annotated[str, AfterValidator(_person_name)]


class _File(Shape):
    default_agent: AgentName | None = "main"
    # Each is checked by itself: one broken rule must not hide the problems of the next.
    bindings: list[Any] = Field(default_factory=list)
    identities: dict[PersonName, list[AddressText]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Routes:
    """What a route file declares. `warnings` did not keep it from being used."""

    file: str
    bindings: tuple[Binding, ...]
    default_agent: AgentId | None
    identities: Identities
    warnings: tuple[Problem, ...] = ()


def read_routes(workspace: Path, shipped: Path) -> Routes:
    """The workspace's route file, else the shipped one; `file` of the result says which.

    A workspace file that is there but cannot be read is an error, never a reason to use the other:
    all messages would quietly go to the default agent.
    """
    own = workspace / FILE_NAME
    path = own if os.path.lexists(own) else shipped
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}; put the routes into {own},"
            ' for example {"default_agent": "main", "bindings": []}'
        ) from error
    return load_routes(text, str(path))


def load_routes(text: str, file: str = FILE_NAME) -> Routes:
    """The routes the text declares; raises `InvalidRoutes` listing every problem."""
    report: list[Problem] = []
    raw = _parsed(text, report)
    if report:
        raise InvalidRoutes(file, report)
    shape = checked(_File, raw, "$", report)
    bindings = _bindings(raw.get("bindings") if isinstance(raw, dict) else None, report)
    identities = _identities(shape.identities if shape else {}, report)
    if shape is None or any(problem.severity is Severity.ERROR for problem in report):
        raise InvalidRoutes(file, report)
    default = None if shape.default_agent is None else normalise_agent_id(shape.default_agent)
    return Routes(file, bindings, default, identities, tuple(report))


def _parsed(text: str, report: list[Problem]) -> object:
    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        # JSON readers keep the last of two equal names; half of what the operator wrote would go.
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        report.extend(Problem("$", f"{name!r} stands twice in one object") for name in twice)
        return dict(pairs)

    try:
        raw: object = json.loads(text, object_pairs_hook=members)
        # Half a surrogate pair is JSON, but could be neither stored nor shown.
        json.dumps(raw, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        report.append(Problem("$", f"not JSON: {error}"))
        return None
    return raw


def _bindings(raw: object, report: list[Problem]) -> tuple[Binding, ...]:
    found: list[Binding] = []
    for index, item in enumerate(raw if isinstance(raw, list) else ()):
        path = f"$.bindings[{index}]"
        binding, problems = read_binding(item, path=path, source=Source.DECLARED, order=index)
        report.extend(problems)
        if binding is not None:
            found.append(_told_apart(binding, {other.id for other in found}))
    report.extend(id_clashes(found))
    return tuple(found)


def _told_apart(binding: Binding, taken: set[str]) -> Binding:
    """A rule without an id of its own, listed again, gets a number; the table reports the copy."""
    name, count = binding.id, 1
    while name in taken and binding.id == derived_id(binding.agent, binding.match):
        count += 1
        name = f"{binding.id}#{count}"
    return replace(binding, id=name)


def _identities(raw: Mapping[str, Sequence[str]], report: list[Problem]) -> Identities:
    people: dict[Address, str] = {}
    for person, texts in raw.items():
        for index, text in enumerate(texts):
            owner = people.setdefault(parse_address(text), person)
            if owner != person:
                path = json_path("$.identities", (person, index))
                report.append(Problem(path, f"{text!r} is already linked to {owner!r}"))
    return Identities(MappingProxyType(people))
