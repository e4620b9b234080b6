"""What a value breaks of the model it was checked against, in words: paths and rules.

The one place that knows how the validation library reports. What was sent is never repeated: it may
be a secret in the wrong place.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from gateway.core.suggestions import did_you_mean

MAX_PROBLEMS = 10
"""Maximum number of problems told together: a list of a thousand wrong items is one mistake."""
MAX_PATH_CHARS = 100

Place = tuple[int | str, ...]


def in_words(
    model: type[BaseModel],
    error: ValidationError,
    *,
    noun: str = "member",
    whole: str = "",
    most: int = MAX_PROBLEMS,
) -> str:
    """The first problems as `path: rule`, and how many more there are.

    `noun` is what readers call a member, `whole` the value itself where a rule is about all of it.
    """
    # A hint costs more than finding the problem, so their number is bounded.
    told = list(islice(_problems(model, error, noun, whole), most))
    more = error.error_count() - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def known(model: type[BaseModel], place: Place) -> dict[str, bool] | None:
    """The names a model takes at a place below it, and whether each is required; those come first.

    None where that depends on the value.
    """
    for step in place:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        annotation: Any = None if field is None else field.annotation
        inner = [each for each in (annotation, *get_args(annotation)) if _is_model(each)]
        if len(inner) != 1:
            return None
        (model,) = inner
    fields = model.model_fields.items()
    return {name: field.is_required() for name, field in sorted(fields, key=_required_first)}


def _problems(
    model: type[BaseModel], error: ValidationError, noun: str, whole: str
) -> Iterator[str]:
    listed: set[Place] = set()
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        place = detail["loc"]
        path = ".".join(map(str, place))[:MAX_PATH_CHARS] or whole
        match detail["type"]:
            case "extra_forbidden":
                # The name itself is what was sent, so it is cut, not hidden.
                said = f"no such {noun}; {_hint(model, place, listed)}".removesuffix("; ")
            case "missing":
                said = "missing"
            case _:
                said = detail["msg"].removeprefix("Value error, ")
        yield f"{path}: {said}" if path else said


def _hint(model: type[BaseModel], place: Place, listed: set[Place]) -> str:
    """The nearest names, then every name that fits there, the required ones first.

    The list is given once for each place: ten misspelt names need one list, not ten.
    """
    names = known(model, place[:-1])
    if names is None:
        return ""
    near = did_you_mean(str(place[-1]), names, otherwise="")
    if place[:-1] in listed:
        return near or "see the list above"
    listed.add(place[:-1])
    named = [f"{name} (required)" if names[name] else name for name in names]
    every = f"it takes {', '.join(named)}" if named else "it takes none"
    return f"{near} {every}".lstrip()


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _required_first(item: tuple[str, FieldInfo]) -> bool:
    return not item[1].is_required()
