"""Checking JSON against a shape, with every problem in words an operator reads.

Used where JSON about routes comes in: `gateway.routing.file` and `gateway.routing.entry`. Unlike
`gateway.wire.problems` it tells what came, since routes hold no secrets.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.core.suggestions import did_you_mean
from gateway.routing.problems import Problem, json_path
from gateway.wire.problems import known


class Shape(BaseModel):
    """Validated strictly: no member unknown, no value converted."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


S = TypeVar("S", bound=Shape)


def checked(shape: type[S], raw: object, path: str, report: list[Problem]) -> S | None:
    """The value in its shape; None after reporting all that does not fit."""
    try:
        return shape.model_validate(raw)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            # pydantic marks a problem with a member's name, not its value, by one more step.
            loc = tuple(step for step in detail["loc"] if step != "[key]")
            kind, message = detail["type"], _WORDS.get(detail["type"], detail["msg"])
            if kind == "extra_forbidden":
                names = known(shape, loc[:-1]) or {}
                message = f"unknown member; {did_you_mean(str(loc[-1]), names)}"
            elif kind == "missing":
                message = f"missing: {shape.model_fields[str(loc[-1])].description}"
            elif kind not in _COMPLETE:
                message = f"{message}, got {_shown(detail['input'])}"
            report.append(Problem(json_path(path, loc), message))
        return None


# In the words of JSON; the others name Python's types.
_WORDS = {
    "model_type": "expected an object",
    "dict_type": "expected an object",
    "list_type": "expected an array",
    "string_type": "expected text",
    "string_too_short": "must not be empty",
    "int_type": "expected a whole number",
}
# Messages that need no value behind them, or have it.
_COMPLETE = {"missing_channel", "address"}


def _shown(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
