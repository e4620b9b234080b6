"""Which answer a request gets: rules in order, the first that applies decides. Pure.

A rule says for which requests it is (model, key, words, which calls, when, how often) and either
names a fault or says what to reply. Time comes in with the request and luck from outside, so the
same seed and the same requests give the same answers.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field, replace

from gateway.core.errors import ConfigError
from gateway.core.ids import Chance
from gateway.simulate.answers import Reply
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import find
from gateway.simulate.fault import Fault

FAULT_MODEL = "fault:"
"""A model of this name and a fault's is that fault, whatever the rules say."""

_SLOT = re.compile(r"\\([1-9])|\{(text|results|model|number)\}")


@dataclass(frozen=True, slots=True)
class When:
    """For which requests a rule is; every member narrows it."""

    model: str = "*"
    """A pattern as shells have it."""
    key: str = ""
    """The whole key; empty for any."""
    text: str = ""
    """A regular expression to be found in the last user message."""
    from_call: int = 1
    """Counted over the requests that model, key and text let through."""
    to_call: int | None = None
    every: int = 1
    """Of those calls each second one, third one …"""
    after_s: float = 0.0
    """Since the simulator started, or since the rule was added while it ran."""
    until_s: float | None = None
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`when`, then either `fault` or `reply`, whose texts may hold `\\1` to `\\9` (groups of
    `when.text`) and `{text}`, `{results}`, `{model}`, `{number}`. With tool calls, they are asked
    for until their results are there; then comes the text."""

    when: When = When()
    fault: Fault | None = None
    reply: Reply | None = None
    found: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if (self.fault is None) == (self.reply is None):
            raise ConfigError("a rule has either a fault or a reply")
        if self.when.every < 1 or self.when.from_call < 1:
            raise ConfigError("`every` and `from_call` of a rule count from 1")
        try:
            compiled = re.compile(self.when.text, re.IGNORECASE)
        except re.error as error:
            raise ConfigError(f"{self.when.text!r} is no regular expression: {error}") from error
        reply = self.reply or Reply()
        texts = (reply.text, *(arguments for _, arguments in reply.tool_calls))
        groups = [int(slot[0]) for text in texts for slot in _SLOT.findall(text) if slot[0]]
        if max(groups, default=0) > compiled.groups:
            raise ConfigError(
                f"a reply uses \\{max(groups)}, but {self.when.text!r} has {compiled.groups} groups"
            )
        object.__setattr__(self, "found", compiled)


@dataclass(slots=True)
class _Active:
    rule: Rule
    since_s: float
    calls: int = 0


class Rules:
    """The rules in force; those added while it runs come first, the newest before the others."""

    def __init__(self, rules: tuple[Rule, ...], chance: Chance, *, now_s: float) -> None:
        self._chance = chance
        self._standing = [_Active(rule, now_s) for rule in rules]
        self._added: dict[str, _Active] = {}
        self._count = 0

    def add(self, rule: Rule, *, now_s: float) -> str:
        """Put a rule before all others; returns the name it is cleared by."""
        self._count += 1
        name = f"r{self._count}"
        self._added[name] = _Active(rule, now_s)
        return name

    def clear(self, name: str | None = None) -> int:
        """Take one added rule away, or all of them; returns how many went."""
        if name is None:
            gone, self._added = len(self._added), {}
            return gone
        return 0 if self._added.pop(name, None) is None else 1

    def added(self) -> dict[str, Rule]:
        """The rules that were added, newest first."""
        return {name: active.rule for name, active in reversed(self._added.items())}

    def choose(self, asked: Asked, *, now_s: float) -> Fault | Reply | None:
        """What this request is answered with, None when no rule is for it; raises `ConfigError`
        for an unknown fault."""
        if asked.model.startswith(FAULT_MODEL):
            return find(asked.model.removeprefix(FAULT_MODEL))
        for active in (*reversed(self._added.values()), *self._standing):
            match = self._applies(active, asked, now_s)
            if match is not None:
                rule = active.rule
                return rule.fault or _filled(rule.reply or Reply(), match, asked)
        return None

    def _applies(self, active: _Active, asked: Asked, now_s: float) -> re.Match[str] | None:
        when = active.rule.when
        if when.key and when.key != asked.key:
            return None
        if not fnmatch.fnmatchcase(asked.model, when.model):
            return None
        match = active.rule.found.search(asked.user_text)
        if match is None:
            return None
        active.calls += 1
        last = when.to_call or active.calls
        elapsed_s = now_s - active.since_s
        if (
            not when.from_call <= active.calls <= last
            or (active.calls - when.from_call) % when.every
            or elapsed_s < when.after_s
            or (when.until_s is not None and elapsed_s >= when.until_s)
        ):
            return None
        if when.probability < 1 and self._chance.uniform(0, 1) >= when.probability:
            return None
        return match


def _filled(reply: Reply, match: re.Match[str], asked: Asked) -> Reply:
    results = asked.results
    values = {
        "text": asked.user_text,
        "results": "\n".join(results),
        "model": asked.model,
        "number": str(asked.number),
    }

    def fill(slot: re.Match[str]) -> str:
        return (match[int(slot[1])] or "") if slot[1] else values[slot[2]]

    if reply.tool_calls and not results:
        calls = tuple(
            # Values go into JSON strings, so what they hold is escaped.
            (name, _SLOT.sub(lambda slot: json.dumps(fill(slot))[1:-1], arguments))
            for name, arguments in reply.tool_calls
        )
        return replace(reply, text="", tool_calls=calls)
    return replace(reply, text=_SLOT.sub(fill, reply.text), tool_calls=())
