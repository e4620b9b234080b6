"""Between the text a model wrote and a tool's typed arguments: parsing, and the schema it is shown.

Called by every tool; a refusal is a sentence the model can act on, and never repeats a value.
"""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.base.models import ToolSpec
from gateway.core.errors import ToolError
from gateway.wire.problems import in_words

SHOWN_PROBLEMS = 5
"""Problems named in one refusal; a model mends them one by one anyway."""


class Arguments(BaseModel):
    """Base of every tool's arguments; a misspelt name is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


T = TypeVar("T", bound=Arguments)


def spec(name: str, description: str, model: type[Arguments]) -> ToolSpec:
    """How the tool is shown to a model."""
    schema = model.model_json_schema()
    schema.pop("description", None)  # pydantic's copy of a docstring written for programmers
    return ToolSpec(name, description, json.dumps(_untitled(schema)))


def parse(model: type[T], text: str) -> T:
    """The arguments; raises `ToolError` naming each member that is wrong and its rule."""
    try:
        # Models write nothing where they want to say: no arguments.
        return model.model_validate_json(text if text.strip() else "{}")
    except ValidationError as error:
        problems = in_words(model, error, noun="argument", whole="arguments", most=SHOWN_PROBLEMS)
        accepted = ", ".join(model.model_fields)
        raise ToolError(
            f"Wrong arguments: {problems}. Expected a JSON object with: {accepted}."
        ) from error


def _untitled(schema: object) -> object:
    """Without the titles pydantic adds: they cost tokens and say the name a second time."""
    match schema:
        case dict():
            return {
                key: {name: _untitled(value) for name, value in member.items()}
                if key == "properties"
                else _untitled(member)
                for key, member in schema.items()
                if key != "title"
            }
        case list():
            return [_untitled(item) for item in schema]
        case _:
            return schema
