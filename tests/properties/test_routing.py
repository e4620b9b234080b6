"""Routing decides alike for every order of equals, and no two strangers share a session."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from agents.base.agents import Agent
from gateway.core.errors import UnknownAgent
from gateway.core.ids import AgentId
from gateway.core.keys import DM_SCOPES, RouteKey, SessionScope, parse_session_key
from gateway.routing.bindings import Binding, Match, Source
from gateway.routing.explanation import Refusal, Resolution
from gateway.routing.identities import Address, Identities
from gateway.routing.problems import Severity
from gateway.routing.scopes import session_key
from gateway.routing.table import Table
from tests.properties.examples import examples

FIELDS = ("channel", "account", "guild", "group", "thread", "peer")
KNOWN = tuple(map(AgentId, ("main", "luna", "sol", "ada")))
agent_ids = st.sampled_from((*KNOWN, AgentId("gone")))
# Few values and few fields, so that rules meet messages and each other. The last two words are what
# a missing channel and a missing account count as.
wanted = st.dictionaries(
    st.sampled_from(FIELDS), st.sampled_from("aaab") | st.sampled_from(["unknown", "default"])
)
matches = wanted.map(lambda fields: Match(**dict(list(fields.items())[:3])))
came = st.sampled_from(["a", "a", "b", ""])
routes = st.builds(RouteKey, came, came, came, came, came, came)


class Spec(NamedTuple):
    """A rule before it has a place."""

    agent: AgentId
    match: Match
    priority: int


specs = st.lists(st.builds(Spec, agent_ids, matches, st.integers(-1, 1)), max_size=9)


def placed(rules: list[Spec], source: Source) -> list[Binding]:
    return [
        Binding(
            f"{source}{i}", rule.agent, rule.match, rule.priority, source, f"$.{source}[{i}]", i
        )
        for i, rule in enumerate(rules)
    ]


def table_of(declared: list[Spec], added: list[Spec], default: AgentId | None) -> Table:
    return Table.build(
        placed(declared, Source.DECLARED),
        placed(added, Source.ADDED),
        agents=KNOWN,
        default_agent=default,
    )


def reference(rules: list[Spec], route: RouteKey, default: AgentId | None) -> AgentId | None:
    """The rules of resolution once more, as plainly as they can be said."""
    tiers = [("peer", "group", "thread"), ("guild",), ("account",), ("channel",)]
    came = {field: getattr(route, field) for field in FIELDS}
    came["channel"] = came["channel"] or "unknown"
    came["account"] = came["account"] or "default"
    best: tuple[int, int] | None = None
    agent = default
    for rule in rules:
        wanted = {field: getattr(rule.match, field) for field in FIELDS}
        wanted = {field: value for field, value in wanted.items() if value}
        if any(came[field] != value for field, value in wanted.items()):
            continue
        tier = next((n for n, fields in enumerate(tiers) if wanted.keys() & set(fields)), 9)
        if best is None or (tier, -rule.priority) < best:
            best, agent = (tier, -rule.priority), rule.agent
    return agent if agent in KNOWN else None


def answering(table: Table, route: RouteKey) -> AgentId | None:
    try:
        return table.resolve(route).agent
    except UnknownAgent:
        return None


defaults = st.none() | agent_ids


@examples(120)  # the order has four criteria, and rules must meet in each
@given(specs, specs, routes, defaults)
def test_resolution_is_total_and_agrees_with_the_plain_reference(
    declared: list[Spec], added: list[Spec], route: RouteKey, default: AgentId | None
) -> None:
    """Every route gets an agent or a typed refusal, the one the rules in words give."""
    table = table_of(declared, added, default)
    assert answering(table, route) == reference([*declared, *added], route, default)


@given(specs, specs, routes, defaults, st.none() | agent_ids)
def test_an_explanation_agrees_with_the_resolution_and_with_itself(
    declared: list[Spec],
    added: list[Spec],
    route: RouteKey,
    default: AgentId | None,
    override: AgentId | None,
) -> None:
    """Same inputs, same decision; only the last rule asked can have matched, and it decided."""
    table = table_of(declared, added, default)
    explanation = table.explain(route, override)
    assert explanation == table_of(declared, added, default).explain(route, override)
    match explanation.outcome:
        case Resolution():
            assert table.resolve(route, override) == explanation.outcome
        case Refusal():
            assert answering(table, route) is None or override is not None
    tried = explanation.tried
    assert [trial.binding for trial in tried] == list(table.rules[: len(tried)])
    assert len(tried) + explanation.not_tried == len(table.rules)
    assert not any(trial.matched for trial in tried[:-1])
    winner = tried[-1].binding if tried and tried[-1].matched else None
    assert explanation.outcome.binding == winner
    assert str(explanation)


@given(specs, routes, st.data())
def test_position_matters_only_among_equals_of_tier_and_priority(
    rules: list[Spec], route: RouteKey, data: st.DataObject
) -> None:
    """A file may be sorted as its owner likes, as long as equals keep their order."""
    groups: dict[tuple[int, int], list[Spec]] = {}
    for rule in rules:
        groups.setdefault((rule.match.tier, rule.priority), []).append(rule)
    turns = [key for key, group in groups.items() for _ in group]
    queues = {key: iter(group) for key, group in groups.items()}
    mixed = [next(queues[key]) for key in data.draw(st.permutations(turns))]

    main = AgentId("main")
    assert answering(table_of(mixed, [], main), route) == answering(
        table_of(rules, [], main), route
    )


@given(specs, specs)
def test_exactly_the_rules_not_reported_as_dead_can_win(
    declared: list[Spec], added: list[Spec]
) -> None:
    """A rule wins the message that has its fields and nothing else, unless it never wins."""
    table = table_of(declared, added, AgentId("main"))
    dead = {problem.path for problem in table.problems() if problem.severity is Severity.WARNING}
    for rule in table.rules:
        fields = {field: getattr(rule.match, field) or f"other {field}" for field in FIELDS}
        won = table.explain(RouteKey(**fields)).outcome.binding
        assert (won == rule) is (rule.origin not in dead)


# --- session keys --------------------------------------------------------------------------------

# What could be mistaken for something else: separators, escapes, the words of keys, people's names,
# whole addresses, half a surrogate pair.
PEOPLE = ("ann", "a", "a/b")
AWKWARD = (
    *PEOPLE,
    *("", ":", "%", "/", "a:b", "a%3Ab", "b", "a:b:a", "a%3Ab%3Aa", "a:default:b"),
    *("direct", "main", "unknown", "default", "group", "ä", "a\u0308", "\ud800", "\0"),
)
texts = st.sampled_from(AWKWARD) | st.text(max_size=3)
agents = st.builds(
    lambda name, scope: Agent(AgentId(name), name, "", Path(), dm_scope=scope),
    st.sampled_from(["luna", "sol"]),
    st.sampled_from(DM_SCOPES),
)


class Meeting(NamedTuple):
    """Two messages made of the same few texts, so that their keys come close, and who is who."""

    agent: Agent
    route: RouteKey
    other: Agent
    place: RouteKey
    people: Identities


@st.composite
def cuts(draw: st.DrawFn) -> RouteKey:
    """One text, cut into the fields of a direct message in one of many ways."""
    words = ["a"] * 5
    first = draw(st.integers(1, 3))
    second = draw(st.integers(first + 1, 4))
    parts = (words[:first], words[first:second], words[second:])
    channel, account, peer = (":".join(part) for part in parts)
    return RouteKey(channel, account, peer=peer)


@st.composite
def meetings(draw: st.DrawFn) -> Meeting:
    pool = st.sampled_from(draw(st.lists(texts, min_size=1, max_size=4)))
    blank = st.just("") | pool
    place = st.builds(RouteKey, blank, blank, blank, blank, blank, pool) | cuts()
    addresses = st.builds(Address, pool | st.just("unknown"), pool | st.just("default"), pool)
    links = draw(st.dictionaries(addresses, st.sampled_from(PEOPLE), max_size=4))
    agent = draw(agents)
    other = draw(st.just(agent) | agents.filter(lambda another: another.id != agent.id))
    first, second = draw(place), draw(place)
    if changed := draw(st.sets(st.sampled_from(FIELDS), max_size=2)):  # a near miss of the first
        second = replace(first, **{field: getattr(second, field) for field in changed})
    return Meeting(agent, first, other, second, Identities(links))


def conversation(agent: Agent, route: RouteKey, people: Identities) -> tuple[object, ...]:
    """Whom a message is shared with, as the documentation says it."""
    channel, account = route.channel or "unknown", route.account or "default"
    if route.group:
        place = (channel, account, route.guild, route.group, route.thread)
        return (agent.id, "shared", place)
    if not route.peer or agent.dm_scope is SessionScope.MAIN:
        return (agent.id, "main")
    if agent.dm_scope is SessionScope.PER_CHANNEL_PEER:
        return (agent.id, channel, route.peer)
    address = Address(channel, account, route.peer)
    if agent.dm_scope is SessionScope.PER_PEER:
        return (agent.id, "person", people.person(address) or address)
    return (agent.id, "account", address)


@examples(120)  # six fields, each of which must be able to tell two messages apart
@given(meetings())
def test_two_messages_share_a_session_exactly_when_the_scope_says_so(meeting: Meeting) -> None:
    """No peer, group or account, however named, gets into another's conversation."""
    agent, route, other, place, people = meeting
    first, second = session_key(agent, route, people), session_key(other, place, people)
    assert (first == second) is (
        conversation(agent, route, people) == conversation(other, place, people)
    )
    assert (str(first) == str(second)) is (first == second)


@given(meetings())
def test_a_session_key_is_read_back_from_its_text(meeting: Meeting) -> None:
    """What is stored is enough to know the conversation again."""
    key = session_key(meeting.agent, meeting.route, meeting.people)
    assert parse_session_key(str(key)) == key
