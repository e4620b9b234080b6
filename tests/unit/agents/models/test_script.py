from __future__ import annotations

from pathlib import Path

import pytest

from agents.models import script
from agents.models.scripted import Call, Rule
from gateway.core.errors import ConfigError


def test_a_text_script_has_a_rule_a_line(tmp_path: Path) -> None:
    path = tmp_path / "script.txt"
    path.write_text("# greetings\n\n^hi (\\w+) => Hello \\1\\nHow are you?\n^x=y => z\n", "utf-8")
    assert script.load(path) == (
        Rule(r"^hi (\w+)", "Hello \\1\nHow are you?"),
        Rule("^x=y", "z"),
    )


def test_a_json_script_says_everything_a_rule_can(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(
        r"""[
          {"pattern": "^find (\\w+)", "reply": "{results}", "rounds": 2, "deltas": 9,
           "calls": [{"name": "look", "arguments": {"for": "\\1", "deep": ["\\1", 2]}},
                     {"name": "list"}, {"name": "raw", "arguments": "{oops"}]},
          {"pattern": "^down", "fail": "overloaded", "retry_after_ms": 500, "times": 2,
           "latency_s": 1.5},
          {"pattern": "^cut", "reply": "half", "finish_reason": "length"}
        ]""",
        "utf-8",
    )
    found, down, cut = script.load(path)
    assert found == Rule(
        r"^find (\w+)",
        calls=(
            Call("look", r'{"for": "\1", "deep": ["\1", 2]}'),
            Call("list"),
            Call("raw", "{oops"),
        ),
        rounds=2,
        deltas=9,
    )
    assert down == Rule("^down", fail="overloaded", retry_after_ms=500, times=2, latency_s=1.5)
    assert cut == Rule("^cut", "half", finish_reason="length")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "just words", "line 1 is not `pattern => reply`"),
        ("a.txt", "ok => fine\n => x", "line 2 is not"),
        ("a.txt", "( => x", "line 1: '(' is not a regular expression"),
        ("a.txt", r"a => \1", r"line 1: the rule 'a' uses \1"),
        ("a.json", "{}", "script: Input should be a valid array"),
        ("a.json", "[", "script: Invalid JSON"),
        ("a.json", '[{"reply": "x"}]', "0.pattern: Field required"),
        ("a.json", '[{"pattern": "x", "fail": "boom"}]', "0.fail: Input should be 'rate'"),
        ("a.json", '[{"pattern": "x", "replly": "y"}]', "0.replly: Extra inputs"),
        ("a.json", '[{"pattern": "("}]', "not a regular expression"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as error:
        script.load(tmp_path / name)
    assert says in str(error.value)
    assert name in str(error.value)


def test_a_file_that_cannot_be_read_is_a_setting_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"#" * (script.MAX_SCRIPT_BYTES + 1))
    for name, says in (("nowhere", "No such file"), ("binary", "utf-8"), ("huge", "larger")):
        with pytest.raises(ConfigError, match=says):
            script.load(tmp_path / name)
