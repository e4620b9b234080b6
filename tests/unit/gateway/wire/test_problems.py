"""What a value breaks of its model, in words; `tests/unit/gateway/rpc/test_params.py` has more."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from gateway.wire.methods.turns import StartTurn
from gateway.wire.problems import in_words


class Inner(BaseModel, extra="forbid"):
    """Something in a list, or missing."""

    size: int = 0


class Outer(BaseModel, extra="forbid"):
    """Holds others."""

    items: list[Inner] = []
    one: Inner | None = None


def said(model: type[BaseModel], value: Any, **options: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return in_words(model, caught.value, **options)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"items": [{}, {"siez": 1}]}, "items.1.siez: no such member; did you mean 'size'?"),
        ({"one": {"zzz": 1}}, "one.zzz: no such member; it takes size"),
        ([], "the whole: Input should be a valid dictionary"),
    ],
)
def test_names_are_suggested_wherever_a_model_stands(value: Any, says: str) -> None:
    """In lists, and where there may be none; a rule about all of it has a name too."""
    assert said(Outer, value, whole="the whole").startswith(says)


def test_where_names_depend_on_the_value_none_are_listed() -> None:
    """Of several models no one is the right one to a list."""
    wrong = {"parts": [{"type": "text", "text": "x", "zzz": 1}]}
    assert said(StartTurn, wrong) == "parts.0.text.zzz: no such member"


def test_as_many_are_told_as_wanted() -> None:
    wrong = {"items": [{"size": "x"}] * 9}
    assert said(Outer, wrong, most=2).endswith("; and 7 more")
