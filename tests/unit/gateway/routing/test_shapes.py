"""What does not fit a shape is said in the words of JSON, with what came."""

from pydantic import Field

from gateway.routing.problems import Problem
from gateway.routing.shapes import Shape, checked


class _Inner(Shape):
    guild: str = ""


class _Outer(Shape):
    name: str = Field(description="what it is called")
    count: int = 0
    inner: _Inner = Field(default_factory=_Inner)
    items: list[str] = Field(default_factory=list)


def problems_of(raw: object) -> list[str]:
    report: list[Problem] = []
    assert checked(_Outer, raw, "$", report) is None
    return [f"{problem.path}: {problem.message}" for problem in report]


def test_a_value_that_fits_is_returned_and_nothing_reported() -> None:
    """The usual case."""
    report: list[Problem] = []
    assert checked(_Outer, {"name": "x"}, "$", report) == _Outer(name="x")
    assert report == []


def test_all_that_does_not_fit_is_reported_at_once() -> None:
    """Nothing is converted: a number is no text, `true` no number."""
    assert problems_of({"count": True, "inner": 7, "items": [1, "a", None]}) == [
        "$.name: missing: what it is called",
        "$.count: expected a whole number, got true",
        "$.inner: expected an object, got 7",
        "$.items[0]: expected text, got 1",
        "$.items[2]: expected text, got null",
    ]


def test_an_unknown_member_gets_the_nearest_known_one_of_its_object() -> None:
    """Members of an inner object are compared with that object's."""
    assert problems_of({"name": "x", "nmae": 1, "inner": {"gild": "42"}}) == [
        "$.inner.gild: unknown member; did you mean 'guild'?",
        "$.nmae: unknown member; did you mean 'name'?",
    ]


def test_a_long_value_is_cut_in_the_message() -> None:
    """A message stays a line."""
    (line,) = problems_of({"name": "x", "inner": "y" * 500})
    assert line.endswith("yyy...")
    assert len(line) < 120
