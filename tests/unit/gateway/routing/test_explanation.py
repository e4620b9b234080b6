"""The text of an explanation tells the whole decision; the docs page shows a true one."""

import re
from pathlib import Path

from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey, parse_route_key
from gateway.routing.bindings import Binding, Match
from gateway.routing.explanation import Explanation, Refusal, Resolution, Trial, Why
from gateway.routing.file import load_routes
from gateway.routing.table import Table

PAGE = Path(__file__).resolve().parents[4] / "docs" / "routing.md"
LUNA = AgentId("luna")
ROUTE = RouteKey("discord", "default", "42", "900", "", "7")
RULE = Binding("support", LUNA, Match(channel="discord", guild="42"), origin="$.bindings[1]")


def test_the_text_names_each_rule_asked_and_why_it_did_not_match() -> None:
    """Field by field, in the order asked, then what decided."""
    other = Binding("vip", LUNA, Match(channel="telegram", peer="8"), priority=3)
    explanation = Explanation(
        ROUTE,
        (Trial(other, other.match.differences(ROUTE)), Trial(RULE, ())),
        2,
        Resolution(LUNA, Why.BINDING, RULE),
    )
    assert str(explanation).splitlines() == [
        "route discord:default:42:900::7",
        "  no  vip (tier 1 conversation, priority 3):"
        " channel is 'discord', not 'telegram'; peer is '7', not '8'",
        "  won support (tier 2 guild, priority 0): matches",
        "  2 further rules were not asked",
        "agent luna, by binding support, declared at $.bindings[1]",
    ]


def test_the_text_of_a_decision_without_rules_says_what_decided() -> None:
    """No rule is named when none decided."""
    assert str(Explanation(ROUTE, (), 0, Resolution(LUNA, Why.DEFAULT))).splitlines() == [
        "route discord:default:42:900::7",
        "agent luna, by default",
    ]


def test_the_text_of_a_refusal_says_what_to_do() -> None:
    """The same sentence the sender gets."""
    explanation = Explanation(ROUTE, (), 0, Refusal("no rule matches", Why.DEFAULT))
    assert str(explanation).splitlines()[-1] == "refused: no rule matches"


def test_the_example_of_the_docs_page_is_what_the_gateway_says() -> None:
    """The page's file is loaded, the page's route explained, the page's problems found."""
    file, explained, reported = re.findall(
        r"^```(?:json|text)\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )[:3]
    routes = load_routes(file)
    agents = [AgentId(name) for name in ("main", "luna", "sol")]
    table = Table.build(routes.bindings, (), agents=agents, default_agent=routes.default_agent)
    route = parse_route_key(explained.split()[1])

    assert str(table.explain(route)) == explained.rstrip("\n")
    assert [str(problem) for problem in table.problems()] == reported.splitlines()
