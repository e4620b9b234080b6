"""JSON parameters into a method's model, or one `InvalidInput` that lists every problem."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from gateway.core.errors import InvalidInput
from gateway.wire.jsonrpc import JsonParams
from gateway.wire.methods.base import Params
from gateway.wire.problems import in_words

P = TypeVar("P", bound=Params)


def validated(model: type[P], params: JsonParams) -> P:
    """The parameters in their model; positional ones follow the order of its fields."""
    value = model.named(params) if isinstance(params, list) else params
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = in_words(model, error, noun="parameter")
    raise InvalidInput(problems)
