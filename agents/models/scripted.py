"""A model that answers by rules: no key, no network, the same answer each time.

It ships: a newcomer's first gateway talks to it, people rehearse failures with it, tests run on it.
The first rule whose pattern is found in the last user message decides; nothing else of the
conversation matters, except that tool results are answered once they are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import get_args

from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelContext, ModelReply, ModelRequest, Usage
from gateway.core.errors import ConfigError, ModelCategory, ModelFailed
from gateway.core.parts import text_of


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a rule; `arguments` is JSON text in which `\\1` is the first group."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do when `pattern` is found in the last user message.

    `reply` may hold `\\1` to `\\9`, the groups of the match, and `{results}`, the text of the tool
    results. With `calls`, tools are asked for in the first `rounds` rounds and `reply` comes after
    them. `fail` fails the call instead. `times` above 0 is how often the rule applies at all: then
    the next one that matches does. The answer arrives in `deltas` pieces over `latency_s`.
    """

    pattern: str
    reply: str = "{results}"
    calls: tuple[Call, ...] = ()
    rounds: int = 1
    fail: ModelCategory | None = None
    retry_after_ms: int | None = None
    finish_reason: str = "stop"
    times: int = 0
    deltas: int = 4
    latency_s: float = 0.0
    found: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            compiled = re.compile(self.pattern, re.IGNORECASE)
        except re.error as error:
            raise ConfigError(f"{self.pattern!r} is not a regular expression: {error}") from error
        templates = (self.reply, *(call.arguments for call in self.calls))
        groups = [int(group) for text in templates for group in _GROUP.findall(text)]
        if max(groups, default=0) > compiled.groups:
            raise ConfigError(
                f"the rule {self.pattern!r} uses \\{max(groups)}, "
                f"but its pattern has {compiled.groups} groups"
            )
        object.__setattr__(self, "found", compiled)


_GROUP = re.compile(r"\\([1-9])")
_SLOT = re.compile(r"\\([1-9])|\{results\}")

HELLO = (
    "Hello! I am the scripted model of turngate: I answer by fixed rules, so that you can see "
    "the gateway work without a key. Try `time?` or `read .` to see a tool run. For a real model "
    "set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY and start again."
)

CATEGORIES: tuple[ModelCategory, ...] = get_args(ModelCategory)

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(r"^\s*(?:hello|hi|hey)\b", HELLO),
    Rule(r"^\s*time\s*\?\s*$", "It is {results}.", (Call("current_time"),)),
    Rule(
        r"^\s*time in ([\w/+-]+)\s*\?\s*$",
        "It is {results}.",
        (Call("current_time", r'{"zone": "\1"}'),),
    ),
    Rule(r"^\s*read\s+(\S.*?)\s*$", "{results}", (Call("read_file", r'{"path": "\1"}'),)),
    *(Rule(rf"^\s*fail {category}\s*$", fail=category) for category in CATEGORIES),
    Rule(r"([\s\S]*)", r"You said: \1"),
)
"""Tried after a script's own rules; the last one matches everything."""


class ScriptedModel:
    """Answers by `rules`, then by `DEFAULT_RULES`."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = (*rules, *DEFAULT_RULES)
        self._applied: dict[int, int] = {}
        self.calls = 0
        """How often it was asked, cancelled and failed calls included."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        self.calls += 1
        rule, match = self._choose(_last_user_text(request.messages))
        if rule.fail is not None:
            await context.clock.sleep(rule.latency_s)
            raise ModelFailed(
                rule.fail,
                f"the scripted model was told to fail with {rule.fail}",
                retry_after_ms=rule.retry_after_ms,
            )
        rounds, results = _since_last_user(request.messages)
        if rule.calls and rounds < rule.rounds:
            return await self._ask_for_tools(rule, match, request, context)
        text = _expand(rule.reply, match, results)
        await _say(text, rule, context)
        return _reply(request, text, (), rule.finish_reason)

    async def open(self) -> None:
        """Nothing takes time here."""

    async def close(self) -> None:
        """There is nothing to close."""

    def _choose(self, said: str) -> tuple[Rule, re.Match[str]]:
        for index, rule in enumerate(self._rules):
            match = rule.found.search(said)
            applied = self._applied.get(index, 0)
            if match is not None and (rule.times == 0 or applied < rule.times):
                if rule.times:
                    self._applied[index] = applied + 1
                return rule, match
        raise AssertionError("the last default rule matches everything")

    async def _ask_for_tools(
        self, rule: Rule, match: re.Match[str], request: ModelRequest, context: ModelContext
    ) -> ModelReply:
        offered = {tool.name for tool in request.tools}
        missing = [call.name for call in rule.calls if call.name not in offered]
        if missing:
            text = f"I would call {', '.join(missing)}, but this agent has no such tool."
            await _say(text, rule, context)
            return _reply(request, text)
        await context.clock.sleep(rule.latency_s)
        # Numbered over the conversation: the same request always gives the same ids.
        number = sum(isinstance(message, ToolMessage) for message in request.messages)
        calls = tuple(
            ToolCall(f"call_{number + index}", call.name, _expand_json(call.arguments, match))
            for index, call in enumerate(rule.calls)
        )
        return _reply(request, "", calls, "tool_calls")


async def _say(text: str, rule: Rule, context: ModelContext) -> None:
    """Emit the text in pieces that add up to it."""
    pieces = list(_pieces(text, rule.deltas))
    for piece in pieces:
        await context.clock.sleep(rule.latency_s / len(pieces))
        context.emit(piece)


def _pieces(text: str, count: int) -> Iterator[str]:
    size = max(1, -(-len(text) // max(1, count)))
    return (text[start : start + size] for start in range(0, len(text), size))


def _reply(
    request: ModelRequest, text: str, calls: tuple[ToolCall, ...] = (), finish_reason: str = "stop"
) -> ModelReply:
    heard = sum(len(_text(message).split()) for message in request.messages)
    usage = Usage(heard + len(request.system.split()), max(1, len(text.split())))
    return ModelReply(text, calls, finish_reason, usage, model="scripted", profile="scripted")


def _text(message: Message) -> str:
    return text_of(message.parts) if isinstance(message, UserMessage) else message.text


def _last_user_text(messages: Messages) -> str:
    return next((_text(m) for m in reversed(messages) if isinstance(m, UserMessage)), "")


def _since_last_user(messages: Messages) -> tuple[int, str]:
    """Rounds of tools since the last user message, and what the latest of them brought."""
    rounds = 0
    results: list[str] = []
    for message in reversed(messages):
        match message:
            case UserMessage():
                break
            case ToolMessage() if rounds == 0:
                results.insert(0, message.text)
            case AssistantMessage(tool_calls=(_, *_)):
                rounds += 1
    return rounds, "\n".join(results)


def _expand(template: str, match: re.Match[str], results: str) -> str:
    # One pass: what a person says is never itself a template.
    return _SLOT.sub(lambda slot: (match[int(slot[1])] or "") if slot[1] else results, template)


def _expand_json(template: str, match: re.Match[str]) -> str:
    """Groups go into JSON strings, so what they hold is escaped."""
    return _GROUP.sub(lambda group: json.dumps(match[int(group[1])] or "")[1:-1], template)
