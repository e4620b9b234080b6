"""Rules as people write them: in a file, as an option, in a call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ConfigError
from gateway.simulate.answers import Reply
from gateway.simulate.catalog import FAULTS
from gateway.simulate.file import RuleShape, fault_option, load, parse
from gateway.simulate.rules import Rule, When

TOML = """
seed = 7
delay_s = 0.5

[keys]
sim-1 = "rate-limit"
sim-2 = "healthy"

[[rules]]
model = "gpt-*"
call = 3
fault = "overloaded"

[[rules]]
text = 'weather in (\\w+)'
calls = [{ name = "weather", arguments = { city = '\\1' } }]
reply = 'In \\1: {results}'
delay_s = 0
"""


def test_a_file_holds_keys_rules_and_the_pace_of_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(TOML, "utf-8")
    scenario = load(path)
    assert (scenario.seed, scenario.keys) == (7, frozenset({"sim-1", "sim-2"}))
    assert scenario.rules == (
        Rule(When(key="sim-1"), FAULTS["rate-limit"]),
        Rule(When(model="gpt-*", from_call=3, to_call=3), FAULTS["overloaded"]),
        Rule(
            When(text=r"weather in (\w+)"),
            reply=Reply(r"In \1: {results}", (("weather", r'{"city": "\1"}'),)),
        ),
        Rule(reply=Reply("You said: {text}", delay_s=0.5)),
    )


def test_json_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    # With the mark that Windows editors put before a text.
    path.write_text(json.dumps({"keys": {"k": "auth"}, "rules": [{"reply": "no"}]}), "utf-8-sig")
    assert load(path).rules == (Rule(When(key="k"), FAULTS["auth"]), Rule(reply=Reply("no")))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"rules": [{"reply": "a"}, {"fault": "sever"}]}, r"rules\.1: there is no fault 'sever'"),
        ({"rules": [{"fault": "auth", "reply": "a"}]}, "either a fault or a reply"),
        ({"rules": [{"model": "m"}]}, "says what to do"),
        ({"rules": [{"fault": "auth", "probability": 2}]}, r"rules\.0\.probability"),
        ({"rulse": []}, "rulse"),
        ({"keys": {"k": "brokn"}}, "there is no fault"),
        ([], "the whole"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(found: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse(found)


@pytest.mark.parametrize("text", ["not = [toml", "\x00"])
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.toml"
    with pytest.raises(ConfigError, match=r"rules\.toml cannot be read"):
        load(path)
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"rules\.toml"):
        load(path)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("rate_limit", When()),
        ("rate-limit=0.25", When(probability=0.25)),
        ("rate-limit@sim-1", When(key="sim-1")),
        ("rate-limit=0.5@sim-1", When(key="sim-1", probability=0.5)),
    ],
)
def test_an_option_names_a_fault_how_often_and_for_whom(text: str, when: When) -> None:
    assert fault_option(text) == Rule(when, FAULTS["rate-limit"])


@pytest.mark.parametrize("text", ["", "sever", "auth=2", "auth=often"])
def test_an_option_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        fault_option(text)


def test_a_rule_may_change_the_pace_alone() -> None:
    assert RuleShape(delay_s=3).to_rule() == Rule(reply=Reply("You said: {text}", delay_s=3))
