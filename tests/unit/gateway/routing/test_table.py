"""One order, one decision: what resolves is what is explained, and a dead rule is reported."""

from collections.abc import Sequence

import pytest

from gateway.core.errors import Conflict, UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey
from gateway.routing.bindings import Binding, Match, Source
from gateway.routing.explanation import Refusal, Why
from gateway.routing.problems import InvalidRoutes, Severity
from gateway.routing.table import Table

MAIN, LUNA, SOL, GONE = (AgentId(name) for name in ("main", "luna", "sol", "gone"))
GUILD = Match(channel="discord", guild="42")
ROUTE = RouteKey("discord", "default", "42", "900", "", "7")


def rule(name: str, agent: AgentId, match: Match, *, priority: int = 0, order: int = 0) -> Binding:
    return Binding(name, agent, match, priority, Source.DECLARED, f"$.bindings[{order}]", order)


def added(name: str, agent: AgentId, match: Match, *, priority: int = 0) -> Binding:
    return Binding(name, agent, match, priority, Source.ADDED, "$.added[0]")


def table(
    declared: Sequence[Binding] = (),
    extra: Sequence[Binding] = (),
    *,
    default: AgentId | None = MAIN,
) -> Table:
    return Table.build(declared, extra, agents=(MAIN, LUNA, SOL), default_agent=default)


def test_the_most_specific_tier_wins_whatever_the_priority() -> None:
    """Tier ascending comes before priority descending."""
    peer = rule("peer", LUNA, Match(channel="discord", peer="7"))
    everything = rule("all", SOL, Match(), priority=100)
    assert table([everything, peer]).resolve(ROUTE).binding == peer


def test_within_a_tier_the_higher_priority_wins() -> None:
    """Priority descending comes before position."""
    early = rule("early", SOL, Match(channel="discord", group="900"))
    late = rule("late", LUNA, Match(channel="discord", peer="7"), priority=1, order=1)
    assert table([early, late]).resolve(ROUTE).agent == LUNA


def test_between_equals_the_earlier_wins_and_declared_comes_before_added() -> None:
    """Position ascending; what an operator wrote down precedes what was set later."""
    first = rule("first", LUNA, GUILD)
    second = rule("second", SOL, GUILD, order=1)
    assert table([second, first]).resolve(ROUTE).binding == first
    assert table([second], [added("a", LUNA, GUILD)]).resolve(ROUTE).binding == second


def test_an_unmatched_message_goes_to_the_default_agent() -> None:
    """And the resolution says that no rule decided."""
    resolution = table([rule("r", LUNA, GUILD)]).resolve(RouteKey("websocket", peer="7"))
    assert (resolution.agent, resolution.why, resolution.binding) == (MAIN, Why.DEFAULT, None)


@pytest.mark.parametrize(
    ("default", "text"),
    [(None, "names no default agent"), (AgentId("mian"), "did you mean 'main'")],
)
def test_an_unmatched_message_is_refused_without_a_default_agent(
    default: AgentId | None, text: str
) -> None:
    """Never an agent nobody chose."""
    with pytest.raises(UnknownAgent, match=text):
        table(default=default).resolve(ROUTE)


def test_a_rule_with_an_unknown_agent_refuses_the_message_instead_of_passing_it_on() -> None:
    """Never an empty prompt, and never the next rule's agent."""
    routes = table([rule("r", GONE, GUILD), rule("all", LUNA, Match(), order=1)])
    with pytest.raises(UnknownAgent, match=r"rule 'r' at \$\.bindings\[0\] names agent 'gone'"):
        routes.resolve(ROUTE)
    assert routes.resolve(RouteKey("websocket")).agent == LUNA


def test_an_override_beats_the_table() -> None:
    """The table is skipped, so no rule was asked."""
    routes = table([rule("r", LUNA, GUILD)])
    resolution = routes.resolve(ROUTE, AgentId("SOL"))
    assert (resolution.agent, resolution.why, resolution.binding) == (SOL, Why.OVERRIDE, None)
    assert routes.explain(ROUTE, SOL).tried == ()
    assert routes.explain(ROUTE, SOL).not_tried == 1


@pytest.mark.parametrize(("name", "hint"), [("lunna", "did you mean 'luna'"), ("", "known: luna,")])
def test_an_unknown_override_is_refused_with_near_matches(name: str, hint: str) -> None:
    """An empty one is no agent either; no override is None."""
    with pytest.raises(UnknownAgent, match=hint):
        table([rule("r", LUNA, GUILD)]).resolve(ROUTE, AgentId(name))


def test_a_route_without_channel_and_account_is_matched_by_the_words_for_it() -> None:
    """As its session key is made with them."""
    routes = table([rule("r", LUNA, Match(channel="unknown", account="default"))])
    assert routes.resolve(RouteKey("", "")).agent == LUNA
    assert routes.explain(RouteKey("", "")).route == RouteKey()


def test_an_explanation_holds_every_rule_asked_up_to_the_one_that_won() -> None:
    """In order; rules behind the winner were not asked."""
    rules = [
        rule("peer", SOL, Match(channel="discord", peer="8")),
        rule("guild", LUNA, GUILD),
        rule("all", SOL, Match()),
    ]
    explanation = table(rules).explain(ROUTE)
    assert [(trial.binding.id, trial.matched) for trial in explanation.tried] == [
        ("peer", False),
        ("guild", True),
    ]
    assert explanation.not_tried == 1
    assert explanation.outcome == table(rules).resolve(ROUTE)


def test_a_refusal_is_explained_with_the_rule_that_led_to_it() -> None:
    """The explanation of a refused message is as complete as any."""
    broken = rule("r", GONE, GUILD)
    outcome = table([broken]).explain(ROUTE).outcome
    assert isinstance(outcome, Refusal)
    assert outcome.binding == broken


def test_one_id_declared_and_added_is_an_error_at_load() -> None:
    """Removing or explaining by id would mean either."""
    with pytest.raises(InvalidRoutes) as error:
        table([rule("x", LUNA, GUILD)], [added("x", SOL, Match())])
    (problem,) = error.value.problems
    assert problem.path == "$.added[0].id"
    assert "declared rule at $.bindings[0]" in problem.message


def test_a_clean_table_has_no_problems() -> None:
    """The narrow rule before the wide one is how it should be."""
    rules = [
        rule("thread", SOL, Match(channel="discord", group="900", thread="1")),
        rule("group", LUNA, Match(channel="discord", group="900"), order=1),
        rule("guild", SOL, GUILD, order=2),
        rule("other", SOL, Match(channel="discord", guild="43"), order=3),
        rule("all", MAIN, Match(), order=4),
    ]
    assert table(rules).problems() == ()


def test_unknown_agents_are_reported_where_they_are_named() -> None:
    """At load, before the first message finds out."""
    problems = table([rule("r", AgentId("lunna"), GUILD)], default=AgentId("mian")).problems()
    assert [(problem.path, problem.severity) for problem in problems] == [
        ("$.default_agent", Severity.ERROR),
        ("$.bindings[0].agent", Severity.ERROR),
    ]
    assert "did you mean 'luna'?" in problems[1].message


@pytest.mark.parametrize(
    ("earlier", "later", "said"),
    [
        (rule("a", LUNA, GUILD), rule("b", SOL, GUILD, order=1), "conflicts with rule 'a' at"),
        (rule("a", LUNA, GUILD), rule("b", LUNA, GUILD, order=1), "repeats rule 'a' at"),
        (rule("a", LUNA, GUILD, priority=1), rule("b", SOL, GUILD), "the higher priority"),
        (rule("a", LUNA, GUILD), added("b", SOL, GUILD), "conflicts with rule 'a' at"),
        (
            rule("a", LUNA, Match(channel="discord", peer="7"), priority=2),
            rule("b", SOL, Match(channel="discord", guild="42", peer="7")),
            "asked before it and takes all its messages; give this one a priority above 2",
        ),
        (
            rule("a", LUNA, Match(guild="42")),
            rule("b", SOL, GUILD, order=1),
            "asked before it and takes all its messages",
        ),
    ],
    ids=["conflict", "duplicate", "outranked", "declared first", "shadowed", "every channel"],
)
def test_a_rule_that_can_never_win_is_reported_with_the_one_before_it(
    earlier: Binding, later: Binding, said: str
) -> None:
    """At the path of the dead rule; the table works all the same."""
    declared = [r for r in (later, earlier) if r.source is Source.DECLARED]
    extra = [r for r in (later, earlier) if r.source is Source.ADDED]
    (problem,) = table(declared, extra).problems()
    assert problem.path == later.origin
    assert problem.severity is Severity.WARNING
    assert said in problem.message
    assert earlier.origin in problem.message


def test_of_many_rules_with_one_match_the_one_that_wins_is_named() -> None:
    """Not the one just before, which is as dead."""
    rules = [rule(name, LUNA, GUILD, order=n) for n, name in enumerate("abc")]
    assert all("repeats rule 'a'" in problem.message for problem in table(rules).problems())
    assert len(table(rules).problems()) == 2


def test_an_added_rule_can_be_removed_by_what_it_says_or_by_its_id() -> None:
    """The older call names agent, key and value; nothing found is no error."""
    extra = added("x", LUNA, GUILD)
    routes = table([], [extra])
    assert routes.removable(AgentId("LUNA"), GUILD) == (extra,)
    assert routes.removable(SOL, GUILD) == ()
    assert routes.removable_by_id("x") == (extra,)
    assert routes.removable_by_id("y") == ()


def test_removing_a_declared_rule_is_refused_with_its_file() -> None:
    """It would be back at the next start."""
    routes = Table.build(
        [rule("x", LUNA, GUILD)], (), agents=[LUNA], default_agent=None, file="ws/routes.json"
    )
    with pytest.raises(Conflict, match=r"declared in ws/routes\.json at \$\.bindings\[0\]"):
        routes.removable_by_id("x")
    with pytest.raises(Conflict, match="nothing was removed"):
        routes.removable(LUNA, GUILD)
