"""JSON parameters into a method's model, or one `InvalidInput` that lists every problem.

The message names paths and rules, never what was sent: it may be a secret in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.core.errors import InvalidInput
from gateway.routing.problems import did_you_mean
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
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        loc = detail["loc"]
        path = ".".join(map(str, loc))[:100]
        match detail["type"]:
            case "extra_forbidden":
                hint = did_you_mean(str(loc[-1]), _known(model, loc))
                # The name itself is what the client wrote, so it is cut, not hidden.
                yield f"{path}: no such parameter; {hint}"
            case "missing":
                yield f"{path}: missing"
            case "value_error":
                said = detail["msg"].removeprefix("Value error, ")
                yield f"{path}: {said}" if path else said
            case _:
                yield f"{path}: {detail['msg']}" if path else detail["msg"]


def _known(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The names known where an unknown one stands."""
    for step in loc[:-1]:
        inner: Any = model.model_fields[step].annotation if step in model.model_fields else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
