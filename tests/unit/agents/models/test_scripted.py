from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import get_args

import pytest

from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.models.scripted import DEFAULT_RULES, Call, Rule, ScriptedModel
from agents.tools.catalog import TOOLS
from gateway.core.clock import ManualClock
from gateway.core.errors import ConfigError, ModelCategory, ModelFailed
from gateway.core.parts import Text

SPECS = tuple(tool.spec for tool in TOOLS)


def user(text: str) -> UserMessage:
    return UserMessage((Text(text),))


async def ask(
    said: str | Messages,
    rules: Sequence[Rule] = (),
    *,
    model: ScriptedModel | None = None,
    tools: tuple[ToolSpec, ...] = SPECS,
    heard: list[str] | None = None,
    clock: ManualClock | None = None,
) -> ModelReply:
    messages = (user(said),) if isinstance(said, str) else said
    pieces = [] if heard is None else heard
    return await (model or ScriptedModel(rules)).complete(
        ModelRequest("any", "", messages, tools),
        ModelContext(clock or ManualClock(), lambda text: pieces.append(text)),
    )


@pytest.mark.parametrize("said", ["hello", "Hello there!", " hi", "HEY"])
async def test_a_greeting_tells_how_to_get_a_real_model(said: str) -> None:
    text = (await ask(said)).text
    for word in ("scripted model", "LLM_BASE_URL", "LLM_MODEL", "LLM_API_KEY", "time?"):
        assert word in text


@pytest.mark.parametrize("said", ["how are you?", "hither", "a\nb", "\\1 {results}", ""])
async def test_anything_else_is_echoed_to_the_letter(said: str) -> None:
    assert (await ask(said)).text == f"You said: {said}"


@pytest.mark.parametrize(
    ("said", "name", "arguments"),
    [
        ("time?", "current_time", "{}"),
        ("time in Europe/Berlin?", "current_time", '{"zone": "Europe/Berlin"}'),
        ("read notes.md", "read_file", '{"path": "notes.md"}'),
        ('read a "quoted" \\ name', "read_file", '{"path": "a \\"quoted\\" \\\\ name"}'),
    ],
)
async def test_tools_can_be_seen_to_work(said: str, name: str, arguments: str) -> None:
    asked = await ask(said)
    (call,) = asked.tool_calls
    assert (call.name, call.arguments) == (name, arguments)
    assert (asked.text, asked.finish_reason) == ("", "tool_calls")
    answered = await ask(
        (user(said), AssistantMessage("", (call,)), ToolMessage(call.id, name, "RESULT"))
    )
    assert "RESULT" in answered.text
    assert answered.tool_calls == ()


async def test_a_tool_that_is_not_offered_is_not_asked_for() -> None:
    reply = await ask("time?", tools=())
    assert reply.tool_calls == ()
    assert reply.text == "I would call current_time, but this agent has no such tool."


@pytest.mark.parametrize("category", get_args(ModelCategory))
async def test_failing_on_demand(category: ModelCategory) -> None:
    with pytest.raises(ModelFailed) as failure:
        await ask(f"fail {category}")
    assert failure.value.category == category


async def test_own_rules_come_before_the_default_ones_and_in_order() -> None:
    rules = (Rule("^hel+o", "first"), Rule("^hello", "second"))
    assert (await ask("hello", rules)).text == "first"
    assert (await ask("bye", rules)).text == "You said: bye"


async def test_groups_of_the_match_are_filled_in() -> None:
    rules = (Rule(r"(\w+) loves (\w+)(!)?", r"\2 loves \1\3."),)
    assert (await ask("Ann loves Bob", rules)).text == "Bob loves Ann."


async def test_the_last_user_message_decides() -> None:
    rules = (Rule("^old", "old"), Rule("^new", "new"))
    assert (await ask((user("old"), AssistantMessage("so"), user("new")), rules)).text == "new"


async def test_a_rule_may_ask_for_tools_more_than_once() -> None:
    rules = (Rule("^dig", "found {results}", (Call("read_file"), Call("read_file")), rounds=2),)
    messages: list[Message] = [user("dig")]
    ids: list[str] = []
    for _ in range(2):
        reply = await ask(tuple(messages), rules)
        ids += [call.id for call in reply.tool_calls]
        messages.append(AssistantMessage("", reply.tool_calls))
        messages += [ToolMessage(call.id, call.name, call.id) for call in reply.tool_calls]
    assert len(set(ids)) == 4
    reply = await ask(tuple(messages), rules)
    assert reply.text == f"found {ids[2]}\n{ids[3]}"


async def test_a_rule_may_apply_a_number_of_times() -> None:
    """A provider that fails twice and then works, for instance."""
    model = ScriptedModel([Rule("^go", fail="overloaded", times=2), Rule("^go", "went")])
    for _ in range(2):
        with pytest.raises(ModelFailed):
            await ask("go", model=model)
    assert (await ask("go", model=model)).text == "went"
    assert model.calls == 3


async def test_a_failure_carries_its_hint() -> None:
    with pytest.raises(ModelFailed) as failure:
        await ask("x", [Rule("x", fail="rate", retry_after_ms=1500)])
    assert failure.value.retry_after_ms == 1500


@pytest.mark.parametrize(("deltas", "pieces"), [(1, 1), (3, 3), (100, 10)])
async def test_the_answer_comes_in_pieces(deltas: int, pieces: int) -> None:
    heard: list[str] = []
    reply = await ask("x", [Rule("x", "0123456789", deltas=deltas)], heard=heard)
    assert len(heard) == pieces
    assert "".join(heard) == reply.text


async def test_an_empty_answer_has_no_pieces() -> None:
    heard: list[str] = []
    assert (await ask("x", [Rule("x", "")], heard=heard)).text == ""
    assert heard == []


@pytest.mark.parametrize(
    "rule",
    [
        Rule("^x", "0123456789", latency_s=8.0),
        Rule("^x", fail="server", latency_s=8.0),
        Rule("^x", calls=(Call("read_file"),), latency_s=8.0),
    ],
)
async def test_time_passes_on_the_injected_clock(rule: Rule) -> None:
    clock = ManualClock()
    with contextlib.suppress(ModelFailed):
        await clock.drive(ask("x", [rule], clock=clock))
    assert clock.monotonic() == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (lambda: Rule("(", "x"), "not a regular expression"),
        (lambda: Rule("a", r"\1"), r"uses \\1, but its pattern has 0 groups"),
        (lambda: Rule("(a)", calls=(Call("x", r'{"y": "\2"}'),)), r"uses \\2"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_at_once(rule: type[Rule], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rule()  # type: ignore[call-arg]


def test_the_last_rule_matches_everything() -> None:
    assert DEFAULT_RULES[-1].found.search("") is not None
