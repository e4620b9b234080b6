"""One rule as JSON: two spellings, one meaning; what could match too much is refused."""

from typing import Any

import pytest

from gateway.core.ids import AgentId
from gateway.routing.bindings import Binding, Match, Source
from gateway.routing.entry import read_binding
from gateway.routing.problems import Severity


def read(**members: Any) -> Binding:
    binding, problems = read_binding(members, path="$.bindings[0]", source=Source.DECLARED)
    assert binding is not None, problems
    assert problems == ()
    return binding


def refused(raw: object) -> list[str]:
    binding, problems = read_binding(raw, path="$", source=Source.DECLARED)
    assert binding is None
    assert {problem.severity for problem in problems} == {Severity.ERROR}
    return [f"{problem.path}: {problem.message}" for problem in problems]


def test_a_rule_is_read_with_all_it_says() -> None:
    """The spelling of the documentation."""
    match = {"channel": "discord", "guild": "42", "peer": "7"}
    raw = {"id": "vip", "agent": "LUNA", "match": match, "priority": -3, "tier": 1}

    binding, problems = read_binding(raw, path="$.added[4]", source=Source.ADDED, order=4)

    wanted = Match(channel="discord", guild="42", peer="7")
    assert problems == ()
    assert binding == Binding(
        "vip", AgentId("luna"), wanted, -3, Source.ADDED, "$.added[4]", order=4
    )


def test_a_rule_without_an_id_gets_one_that_says_what_it_does() -> None:
    """The same rule has the same id wherever it stands in the file."""
    rule = read(agent="Luna", match={"guild": "42", "channel": "discord"})
    assert rule.id == "luna:channel=discord,guild=42"


@pytest.mark.parametrize(
    ("pair", "match"),
    [
        ({"match_key": "peer_id", "match_value": "discord:7"}, Match(channel="discord", peer="7")),
        ({"match_key": "peer_id", "match_value": "m:@a:h"}, Match(channel="m", peer="@a:h")),
        ({"match_key": "channel", "match_value": "discord", "tier": 4}, Match(channel="discord")),
        ({"match_key": "default", "match_value": "*", "tier": 5}, Match()),
        ({}, Match()),
    ],
)
def test_the_older_spelling_means_the_same(pair: dict[str, Any], match: Match) -> None:
    """One key and one value; without both it is the default rule."""
    assert read(agent_id="luna", **pair).match == match


@pytest.mark.parametrize(("key", "field"), [("guild_id", "guild"), ("account_id", "account")])
def test_the_older_spelling_warns_that_a_guild_matches_on_every_channel(
    key: str, field: str
) -> None:
    """It has no room for the channel, so existing files keep working, with a word about it."""
    raw = {"agent_id": "luna", "match_key": key, "match_value": "42"}

    binding, (problem,) = read_binding(raw, path="$", source=Source.DECLARED)

    assert binding is not None
    assert binding.match == Match(**{field: "42"})
    assert problem.severity is Severity.WARNING
    assert problem.path == "$.match_value"
    assert f"{field}=42 on every channel" in problem.message


@pytest.mark.parametrize("value", ["7", ":7", "discord:", ":"])
def test_a_peer_without_its_channel_is_refused_in_the_older_spelling(value: str) -> None:
    """Whoever has that id on another channel would be let in; writing the channel is possible."""
    (line,) = refused({"agent_id": "luna", "match_key": "peer_id", "match_value": value})
    assert line.startswith("$.match_value: expected 'channel:peer'")


@pytest.mark.parametrize("field", ["account", "guild", "group", "thread", "peer"])
def test_a_match_without_a_channel_is_refused(field: str) -> None:
    """Every id means something within one channel only."""
    (line,) = refused({"agent": "luna", "match": {field: "42"}})
    assert line.startswith("$.match.channel: missing")


@pytest.mark.parametrize("field", ["channel", "account", "guild", "group", "thread", "peer"])
@pytest.mark.parametrize("value", ["", "*", None, 42])
def test_an_empty_value_and_a_wildcard_are_refused(field: str, value: object) -> None:
    """An empty guild would take all that have none; `*` would never match and nobody would know."""
    (line,) = refused({"agent": "luna", "match": {"channel": "discord", field: value}})
    assert line.startswith(f"$.match.{field}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [("channel", ""), ("guild_id", "*"), ("peer_id", "discord:*"), ("default", "42")],
)
def test_an_empty_or_meaningless_value_is_refused_in_the_older_spelling(
    key: str, value: str
) -> None:
    """A default rule with a value was meant for less than everything."""
    (line,) = refused({"agent_id": "luna", "match_key": key, "match_value": value})
    assert line.startswith("$.match_value: ")


def test_a_match_has_to_be_written_even_when_it_is_empty() -> None:
    """A forgotten match must not take every message."""
    (line,) = refused({"agent": "luna"})
    assert line == "$.match: missing: an object; an empty one matches every message"
    assert read(agent="luna", match={}).match == Match()


@pytest.mark.parametrize(
    "rule",
    [
        {"agent_id": "luna", "match_key": "channel", "match_value": "discord", "tier": 1},
        {"agent": "luna", "match": {"channel": "discord"}, "tier": 2},
    ],
)
def test_a_tier_that_contradicts_the_match_is_refused(rule: dict[str, Any]) -> None:
    """Tier 1 with a channel never matched anything, or matched as something else."""
    (line,) = refused(rule)
    assert line.startswith("$.tier: ")
    assert "channel=discord is tier 4" in line


@pytest.mark.parametrize("name", ["", "---", "☃"])
def test_an_agent_id_with_nothing_left_after_normalising_is_refused(name: str) -> None:
    """It would name no agent, or the wrong one."""
    (line,) = refused({"agent": name, "match": {}})
    assert line.startswith("$.agent: an agent id has a letter or a digit")


def test_all_problems_of_a_rule_come_at_once() -> None:
    """Whatever was written wrong, one look is enough."""
    raw = {"id": "", "agent": 5, "match": {"gild": "4", "peer": "7"}, "priority": 2**40, "tier": 9}
    assert [line.split(":")[0] for line in refused(raw)] == [
        "$.id",
        "$.priority",
        "$.tier",
        "$.agent",
        "$.match.channel",
        "$.match.gild",
    ]


def test_the_two_spellings_cannot_be_mixed() -> None:
    """Half of each could be read in two ways."""
    assert refused({"agent_id": "luna", "match": {}}) == [
        "$.agent: missing: the id of the agent that answers",
        "$.agent_id: unknown member; did you mean 'agent'?",
    ]


def test_an_unknown_match_key_is_the_only_complaint_about_the_pair() -> None:
    """What its value should be cannot be said."""
    (line,) = refused({"agent_id": "luna", "match_key": "guild", "match_value": ""})
    assert line.startswith("$.match_key: ")
    assert "'guild_id'" in line


@pytest.mark.parametrize("raw", [None, 7, "luna", []])
def test_a_rule_is_an_object(raw: object) -> None:
    """Anything else is said to be what it is."""
    (line,) = refused(raw)
    assert line.startswith("$: expected an object, got ")
