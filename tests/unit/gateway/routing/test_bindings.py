"""A match is a conjunction compared exactly; how specific it is follows from its fields."""

import pytest

from gateway.core.ids import AgentId
from gateway.core.keys import RouteKey
from gateway.routing.bindings import (
    Binding,
    Difference,
    Match,
    Source,
    Tier,
    completed,
    derived_id,
    id_clashes,
)

LUNA = AgentId("luna")


@pytest.mark.parametrize(
    ("match", "tier"),
    [
        (Match(channel="discord", guild="42", peer="7"), Tier.CONVERSATION),
        (Match(channel="discord", account="bot", group="900"), Tier.CONVERSATION),
        (Match(channel="discord", thread="1"), Tier.CONVERSATION),
        (Match(channel="discord", account="bot", guild="42"), Tier.GUILD),
        (Match(channel="discord", account="bot"), Tier.ACCOUNT),
        (Match(channel="discord"), Tier.CHANNEL),
        (Match(), Tier.DEFAULT),
    ],
)
def test_the_tier_is_that_of_the_most_specific_field(match: Match, tier: Tier) -> None:
    """Five tiers; peer, group and thread share the first, our decision."""
    assert match.tier is tier


def test_every_field_of_a_match_must_agree() -> None:
    """Conjunction: a peer in a guild, not a peer or a guild."""
    match = Match(channel="discord", guild="42", peer="7")

    assert match.differences(RouteKey("discord", "bot", "42", "900", "", "7")) == ()
    assert match.differences(RouteKey("discord", "bot", "43", "900", "", "8")) == (
        Difference("guild", "42", "43"),
        Difference("peer", "7", "8"),
    )


@pytest.mark.parametrize("came", ["Discord", "discord ", "díscord", ""])
def test_values_are_compared_exactly_as_given(came: str) -> None:
    """Ids belong to the channels: folding them could make one of two."""
    assert Match(channel="discord").differences(RouteKey(came))


def test_an_empty_match_takes_every_message() -> None:
    """The default tier."""
    assert Match().differences(RouteKey("discord", "bot", "42", "900", "1", "7")) == ()


def test_a_match_is_covered_by_itself_and_every_match_with_fewer_fields() -> None:
    """What a rule that stands before another must be to take all its messages."""
    match = Match(channel="discord", guild="42")
    assert list(match.covering()) == [match, Match(channel="discord"), Match(guild="42"), Match()]


def test_a_derived_id_cannot_be_forged_by_a_value() -> None:
    """Separators inside a value are escaped."""
    forged = Match(channel="discord,guild=42")
    assert derived_id(LUNA, Match(channel="discord", guild="42")) == "luna:channel=discord,guild=42"
    assert derived_id(LUNA, forged) == "luna:channel=discord%2Cguild%3D42"
    assert derived_id(LUNA, Match()) == "luna:default"


def test_rules_rank_by_tier_then_priority_then_source_then_position() -> None:
    """Tier ascending, priority descending, declared before added, position ascending."""
    match = Match(channel="discord")
    ranked = [
        Binding("narrow", LUNA, Match(channel="discord", peer="7"), -5, Source.ADDED, order=9),
        Binding("urgent", LUNA, match, 1, Source.ADDED, order=9),
        Binding("first", LUNA, match, 0, order=0),
        Binding("second", LUNA, match, 0, order=1),
        Binding("added", LUNA, match, 0, Source.ADDED, order=0),
        Binding("default", LUNA, Match(), 99),
    ]
    backwards = ranked[::-1]
    assert sorted(backwards, key=lambda binding: binding.rank) == ranked
    assert [binding.tier for binding in ranked] == [1, 4, 4, 4, 4, 5]


def test_an_id_used_twice_is_reported_with_both_places() -> None:
    """Which of the two is meant by the id, nobody could say."""
    declared = Binding("support", LUNA, Match(), origin="$.bindings[0]")
    added = Binding("support", LUNA, Match(), source=Source.ADDED, origin="$.added[3]")

    (clash,) = id_clashes([declared, added])

    assert clash.path == "$.added[3].id"
    assert "declared rule at $.bindings[0]" in clash.message


def test_a_route_without_channel_or_account_gets_the_words_for_it() -> None:
    """A rule for account `default` takes messages whose channel names no account."""
    assert completed(RouteKey("", "", peer="7")) == RouteKey("unknown", "default", peer="7")
    whole = RouteKey("discord", "bot", peer="7")
    assert completed(whole) is whole
