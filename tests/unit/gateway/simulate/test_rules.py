"""Which rule decides, and what a reply is filled with."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.errors import ConfigError
from gateway.core.ids import seeded_chance
from gateway.simulate.answers import Reply
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import FAULTS, find
from gateway.simulate.fault import Fault
from gateway.simulate.rules import Rule, Rules, When

RATE = FAULTS["rate-limit"]
SERVER = FAULTS["server"]


def asked(text: str = "hello", *, model: str = "m", key: str = "k1", more: Any = ()) -> Asked:
    messages = [{"role": "user", "content": text}, *more]
    headers = {"authorization": f"Bearer {key}"}
    return Asked(1, 0, {"model": model, "messages": messages}, headers)


def rules(*found: Rule, seed: int = 0) -> Rules:
    return Rules(found, seeded_chance(seed), now_s=100.0)


def names(rules: Rules, count: int, request: Asked | None = None, *, now_s: float = 100.0) -> str:
    """One letter a call: the first of the fault's name, `.` without one."""
    found = [rules.choose(request or asked(), now_s=now_s) for _ in range(count)]
    return "".join(fault.name[0] if isinstance(fault, Fault) else "." for fault in found)


def test_the_first_rule_that_applies_decides() -> None:
    both = rules(Rule(When(model="m"), RATE), Rule(fault=SERVER))
    assert both.choose(asked(), now_s=100) is RATE
    assert both.choose(asked(model="n"), now_s=100) is SERVER


def test_without_a_rule_there_is_nothing_to_say() -> None:
    assert rules().choose(asked(), now_s=100) is None


def test_one_key_may_fail_while_the_next_is_healthy() -> None:
    one = rules(Rule(When(key="k1"), RATE))
    assert names(one, 2, asked(key="k1")) == "rr"
    assert names(one, 2, asked(key="k2")) == ".."


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        (When(), "rrrrrr"),
        (When(from_call=3), "..rrrr"),
        (When(to_call=2), "rr...."),
        (When(from_call=2, to_call=4), ".rrr.."),
        (When(every=2), "r.r.r."),
        (When(from_call=2, every=3, to_call=5), ".r..r."),
    ],
)
def test_a_schedule_counts_calls(when: When, shown: str) -> None:
    assert names(rules(Rule(when, RATE)), 6) == shown


def test_only_calls_the_rule_could_be_for_are_counted() -> None:
    second = rules(Rule(When(model="m", from_call=2), RATE))
    assert names(second, 3, asked(model="other")) == "..."
    assert names(second, 2) == ".r"


def test_a_window_of_time_counts_from_the_start() -> None:
    window = rules(Rule(When(after_s=10, until_s=20), RATE))
    shown = [names(window, 1, now_s=now) for now in (100, 109.9, 110, 119.9, 120)]
    assert "".join(shown) == "..rr."


def test_luck_is_seeded_and_about_as_likely_as_asked_for() -> None:
    some = Rule(When(probability=0.25), RATE)
    first, again = names(rules(some, seed=7), 400), names(rules(some, seed=7), 400)
    assert first == again
    assert 70 < first.count("r") < 130
    assert names(rules(some, seed=8), 400) != first


def test_what_is_added_comes_first_and_counts_from_then() -> None:
    running = rules(Rule(fault=SERVER))
    name = running.add(Rule(When(to_call=1, until_s=5), RATE), now_s=200)
    assert names(running, 2, now_s=204) == "rs"
    assert list(running.added()) == [name]
    assert (running.clear(name), running.clear(name)) == (1, 0)
    assert names(running, 1, now_s=200) == "s"


def test_the_name_of_the_model_beats_every_rule() -> None:
    found = rules(Rule(fault=SERVER)).choose(asked(model="fault:rate_limit"), now_s=100)
    assert found is RATE


def test_a_reply_quotes_what_was_said() -> None:
    weather = rules(Rule(When(text=r"weather in (\w+)"), reply=Reply(r"In \1 ({text}, {model}).")))
    found = weather.choose(asked("the weather in Bonn?"), now_s=100)
    assert found == Reply("In Bonn (the weather in Bonn?, m).")


def test_what_a_person_says_is_no_template() -> None:
    found = rules(Rule(reply=Reply("{text}"))).choose(asked(r"{model} \1"), now_s=100)
    assert found == Reply(r"{model} \1")


def test_tools_are_asked_for_until_their_results_are_there() -> None:
    look = Reply("It says: {results}", tool_calls=(("look", '{"at": "\\1"}'),))
    rule = rules(Rule(When(text="look at (.+)"), reply=look))
    first = rule.choose(asked('look at "it"'), now_s=100)
    assert first == Reply("", (("look", '{"at": "\\"it\\""}'),))
    done = asked('look at "it"', more=[{"role": "tool", "content": "a stone"}])
    assert rule.choose(done, now_s=100) == Reply("It says: a stone")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Rule(), "either a fault or a reply"),
        (lambda: Rule(fault=RATE, reply=Reply()), "either a fault or a reply"),
        (lambda: Rule(When(text="("), RATE), "no regular expression"),
        (lambda: Rule(When(text="a"), reply=Reply(r"\1")), "has 0 groups"),
        (lambda: Rule(When(every=0), RATE), "count from 1"),
        (lambda: find("rate-limits"), "did you mean 'rate-limit"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()
