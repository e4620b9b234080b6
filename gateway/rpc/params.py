"""JSON parameters into a method's model, or one `InvalidInput` that lists every problem.

The message names paths and rules, never what was sent: it may be a secret in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.core.errors import InvalidInput
from gateway.core.suggestions import did_you_mean
from gateway.wire.jsonrpc import JsonParams
from gateway.wire.methods.base import Params

MAX_PROBLEMS = 10
"""Most problems told at once: a list of a thousand wrong items is one mistake."""

P = TypeVar("P", bound=Params)


def validated(model: type[P], params: JsonParams) -> P:
    """The parameters in their model; positional ones follow the order of its fields."""
    value = model.named(params) if isinstance(params, list) else params
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # A hint costs more than finding the problem, so nobody asks for a hundred thousand.
        told = list(islice(_problems(model, error), MAX_PROBLEMS))
        more = error.error_count() - len(told)
    raise InvalidInput("; ".join(told + ([f"and {more} more"] if more else [])))


def _problems(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    listed: set[tuple[int | str, ...]] = set()
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        loc = detail["loc"]
        path = ".".join(map(str, loc))[:100]
        match detail["type"]:
            case "extra_forbidden":
                # The name itself is what the client wrote, so it is cut, not hidden.
                yield f"{path}: no such parameter; {_hint(model, loc, listed)}"
            case "missing":
                yield f"{path}: missing"
            case "value_error":
                said = detail["msg"].removeprefix("Value error, ")
                yield f"{path}: {said}" if path else said
            case _:
                yield f"{path}: {detail['msg']}" if path else detail["msg"]


def _hint(
    model: type[BaseModel], loc: tuple[int | str, ...], listed: set[tuple[int | str, ...]]
) -> str:
    """The nearest names, then every name that fits there, the required ones first.

    The list is given once for each place: ten misspelt names need one list, not ten.
    """
    required = _known(model, loc[:-1])
    near = did_you_mean(str(loc[-1]), required, otherwise="")
    if loc[:-1] in listed:
        return near or "see the list above"
    listed.add(loc[:-1])
    named = [f"{name} (required)" if required[name] else name for name in required]
    every = f"it takes {', '.join(named)}" if named else "it takes none"
    return f"{near} {every}".lstrip()


def _known(model: type[BaseModel], place: tuple[int | str, ...]) -> dict[str, bool]:
    """The names known at a place, and whether each is required; those that are come first."""
    for step in place:
        inner: Any = model.model_fields[step].annotation if step in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return {}
        model = inner
    fields = model.model_fields.items()
    return {name: field.is_required() for name, field in sorted(fields, key=_required_first)}


def _required_first(item: tuple[str, FieldInfo]) -> bool:
    return not item[1].is_required()
