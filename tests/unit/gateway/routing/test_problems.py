"""Problems are sentences with a place; a refusal lists all of them."""

import pytest

from gateway.core.errors import ConfigError, describe
from gateway.routing.problems import InvalidRoutes, Problem, Severity, json_path


def test_a_refusal_names_the_file_and_every_problem_with_its_path() -> None:
    """An operator mends the file in one go."""
    problems = [Problem("$.a", "expected text, got 7"), Problem("$.b", "odd", Severity.WARNING)]

    error = InvalidRoutes("routes.json", problems)

    assert str(error).splitlines() == [
        "routes.json is not usable; nothing of it was taken over:",
        "  error at $.a: expected text, got 7",
        "  warning at $.b: odd",
    ]
    assert error.problems == tuple(problems)


def test_a_refusal_looks_outside_like_any_other_wrong_configuration() -> None:
    """The table of core errors has no row for it; its family's is used."""
    error = InvalidRoutes("routes.json", [])
    assert isinstance(error, ConfigError)
    assert describe(error).kind == "config"


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ((), "$"),
        (("bindings", 2, "match"), "$.bindings[2].match"),
        (("identities", "a.b"), "$.identities['a.b']"),
    ],
)
def test_a_json_path_quotes_what_is_no_plain_name(steps: tuple[int | str, ...], path: str) -> None:
    """A member called `a.b` is one step, not two."""
    assert json_path("$", steps) == path
