"""The route file is used whole or not at all, and nothing in it is dropped without a word."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from gateway.routing.bindings import Match
from gateway.routing.file import Routes, load_routes, read_routes
from gateway.routing.identities import Address
from gateway.routing.problems import InvalidRoutes, Severity

ROOT = Path(__file__).resolve().parents[4]


def load(**members: Any) -> Routes:
    return load_routes(json.dumps(members))


def refused(text: str) -> list[str]:
    with pytest.raises(InvalidRoutes) as error:
        load_routes(text)
    return [f"{problem.path}: {problem.message}" for problem in error.value.problems]


def test_a_file_gives_its_rules_in_order_with_their_places() -> None:
    """Position decides between equals, so it is kept."""
    routes = load(
        default_agent="Main",
        bindings=[
            {"id": "support", "agent": "luna", "match": {"channel": "discord", "guild": "42"}},
            {"agent_id": "sol", "match_key": "channel", "match_value": "websocket"},
        ],
    )
    assert routes.default_agent == "main"
    assert [(b.id, b.agent, b.match, b.origin, b.order) for b in routes.bindings] == [
        ("support", "luna", Match(channel="discord", guild="42"), "$.bindings[0]", 0),
        ("sol:channel=websocket", "sol", Match(channel="websocket"), "$.bindings[1]", 1),
    ]
    assert routes.warnings == ()


def test_the_shipped_file_sends_everything_to_main() -> None:
    """A fresh installation answers; nothing else is in the file."""
    routes = read_routes(ROOT / "no-such-workspace", ROOT / "routes.json")
    assert (routes.default_agent, routes.bindings) == ("main", ())
    assert json.loads((ROOT / "routes.json").read_text()) == {
        "default_agent": "main",
        "bindings": [],
    }


def test_without_a_default_agent_the_default_is_main() -> None:
    """`null` is how to say that unmatched messages are refused."""
    assert load().default_agent == "main"
    assert load(default_agent=None).default_agent is None


def test_every_problem_of_the_file_comes_at_once_and_nothing_is_used() -> None:
    """One broken rule does not hide the next."""
    text = json.dumps(
        {
            "default_agnt": "main",
            "bindings": [
                {"agent": "luna", "match": {"guild": "42"}},
                "luna",
                {"agent_id": "luna", "match_key": "channel", "match_value": "", "tier": 4},
            ],
            "identities": {"ann": ["discord:42"], "b:b": []},
        }
    )
    assert [line.split(": ")[0] for line in refused(text)] == [
        "$.identities.ann[0]",
        "$.identities['b:b']",
        "$.default_agnt",
        "$.bindings[0].match.channel",
        "$.bindings[1]",
        "$.bindings[2].match_value",
    ]
    assert "$.default_agnt: unknown member; did you mean 'default_agent'?" in refused(text)


def test_warnings_come_with_the_routes_they_do_not_stop() -> None:
    """The caller shows them; the file works."""
    routes = load(bindings=[{"agent_id": "luna", "match_key": "guild_id", "match_value": "42"}])
    (warning,) = routes.warnings
    assert warning.severity is Severity.WARNING
    assert warning.path == "$.bindings[0].match_value"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "$: not JSON"),
        ("{", "$: not JSON"),
        ("[" * 100_000, "$: not JSON"),
        (r'{"identities": {"\ud800": []}}', "$: not JSON"),
        ("[]", "$: expected an object, got []"),
        ('{"bindings": {}}', "$.bindings: expected an array, got {}"),
        ('{"default_agent": ""}', "$.default_agent: an agent id has a letter or a digit"),
        ('{"bindings": [], "bindings": []}', "$: 'bindings' stands twice in one object"),
    ],
    ids=range(8),
)
def test_text_that_is_no_route_file_is_refused_as_what_it_is(text: str, complaint: str) -> None:
    """A broken file is never an empty table: all messages would go to the default agent."""
    (line,) = refused(text)
    assert line.startswith(complaint)


def test_an_id_used_twice_is_refused() -> None:
    """Removing or explaining by id would mean either."""
    rule = {"id": "x", "agent": "luna", "match": {}}
    (line,) = refused(json.dumps({"bindings": [rule, rule]}))
    assert line.startswith("$.bindings[1].id: 'x' is the id of the declared rule at $.bindings[0]")


def test_a_rule_listed_twice_without_ids_is_kept_and_told_apart() -> None:
    """The table reports the copy; refusing the file over it would help nobody."""
    rule = {"agent": "luna", "match": {"channel": "discord"}}
    routes = load(bindings=[rule, rule, rule])
    assert [binding.id for binding in routes.bindings] == [
        "luna:channel=discord",
        "luna:channel=discord#2",
        "luna:channel=discord#3",
    ]


def test_identities_link_addresses_to_people() -> None:
    """The only way two channels' peers become one."""
    links = load(identities={"ann": ["discord:default:42", "websocket:default:ann"]}).identities
    assert links.person(Address("discord", "default", "42")) == "ann"
    assert links.person(Address("websocket", "default", "ann")) == "ann"
    assert links.person(Address("websocket", "default", "42")) is None


def test_an_address_belongs_to_one_person() -> None:
    """Else the order of the file would decide who reads whose conversation."""
    people = {"ann": ["d:default:4%32"], "bob": ["d:default:7", "d:default:42"]}
    (line,) = refused(json.dumps({"identities": people}))
    assert line == "$.identities.bob[1]: 'd:default:42' is already linked to 'ann'"


def test_the_file_of_the_workspace_wins_over_the_shipped_one(tmp_path: Path) -> None:
    """And the result says which one it was."""
    own, shipped = tmp_path / "routes.json", tmp_path / "shipped.json"
    shipped.write_text('{"default_agent": "shipped"}')
    assert read_routes(tmp_path, shipped).default_agent == "shipped"
    assert read_routes(tmp_path, shipped).file == str(shipped)

    own.write_bytes(b'\xef\xbb\xbf{"default_agent": "own"}')

    assert read_routes(tmp_path, shipped).default_agent == "own"
    assert read_routes(tmp_path, shipped).file == str(own)


@pytest.mark.parametrize("kind", ["directory", "dangling link", "other encoding"])
def test_a_file_of_the_workspace_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    """Using the shipped one instead would quietly change every route."""
    own, shipped = tmp_path / "routes.json", tmp_path / "shipped.json"
    shipped.write_text("{}")
    match kind:
        case "directory":
            own.mkdir()
        case "dangling link":
            own.symlink_to(tmp_path / "gone")
        case _:
            own.write_bytes('{"default_agent": "ä"}'.encode("latin-1"))

    with pytest.raises(ConfigError, match=r"routes\.json cannot be read"):
        read_routes(tmp_path, shipped)


def test_no_file_anywhere_is_an_error_that_shows_what_to_write(tmp_path: Path) -> None:
    """The example in the message is a valid file."""
    with pytest.raises(ConfigError) as error:
        read_routes(tmp_path, tmp_path / "shipped.json")
    text = str(error.value)
    assert str(tmp_path / "routes.json") in text
    assert load_routes(text[text.index("{") :]).default_agent == "main"


def test_problems_in_the_file_are_reported_under_its_name(tmp_path: Path) -> None:
    """Two files can be meant; the message says which."""
    (tmp_path / "routes.json").write_text("[]")
    with pytest.raises(InvalidRoutes, match=str(tmp_path / "routes.json")):
        read_routes(tmp_path, tmp_path / "shipped.json")
