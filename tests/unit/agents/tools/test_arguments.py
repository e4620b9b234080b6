from __future__ import annotations

import json

import pytest
from pydantic import Field

from agents.tools import arguments
from gateway.core.errors import ToolError


class Inner(arguments.Arguments):
    """For programmers."""

    title: str = "x"


class Example(arguments.Arguments):
    """For programmers too."""

    path: str = Field(description="where")
    count: int = Field(default=1, ge=1)
    inner: Inner = Inner()


def test_the_schema_says_what_a_model_needs_and_no_more() -> None:
    schema = json.loads(arguments.spec("x", "Does x.", Example).parameters)
    assert schema["required"] == ["path"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["path"] == {"description": "where", "type": "string"}
    assert schema["properties"]["count"] == {"default": 1, "minimum": 1, "type": "integer"}
    assert "description" not in schema
    # A member may be called `title`; only pydantic's own titles go.
    assert schema["$defs"]["Inner"]["properties"] == {"title": {"default": "x", "type": "string"}}


def test_arguments_are_typed_and_have_their_defaults() -> None:
    assert arguments.parse(Example, '{"path": "a", "count": 3}') == Example(path="a", count=3)
    assert arguments.parse(Inner, "") == arguments.parse(Inner, " ") == Inner()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{oops", "arguments: Invalid JSON"),
        ("[]", "arguments: Input should be an object"),
        ("{}", "path: missing"),
        ('{"path": 1}', "path: Input should be a valid string"),
        ('{"path": "a", "count": 0}', "count: Input should be greater than or equal to 1"),
        ('{"path": "a", "cuont": 1}', "cuont: no such argument; did you mean 'count'?"),
    ],
)
def test_a_refusal_tells_the_model_what_to_mend(text: str, says: str) -> None:
    with pytest.raises(ToolError) as error:
        arguments.parse(Example, text)
    assert says in str(error.value)
    assert "Expected a JSON object with: path, count, inner." in str(error.value)


def test_a_refusal_is_short_and_repeats_no_value() -> None:
    wrong = {f"secret{n}": "hunter2" for n in range(100)} | {"path": "a"}
    with pytest.raises(ToolError) as error:
        arguments.parse(Example, json.dumps(wrong))
    assert str(error.value).count("no such argument") == arguments.SHOWN_PROBLEMS
    assert "hunter2" not in str(error.value)
