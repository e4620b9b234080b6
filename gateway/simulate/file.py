"""What the simulator is told in words: a file of rules, options, calls while it runs.

All three speak of rules in the same members. A file is TOML, or JSON with the same members. Every
problem is a `ConfigError` that says where it is.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from gateway.core.errors import ConfigError
from gateway.simulate.answers import Reply
from gateway.simulate.catalog import find
from gateway.simulate.rules import Rule, When
from gateway.wire.methods.base import Params
from gateway.wire.problems import in_words

MAX_FILE_BYTES = 1024 * 1024
"""Rules are written by hand; more than this is another file."""

HEALTHY = "healthy"
"""What the file says of a key that nothing is wrong with."""
ECHO = "You said: {text}"


class _Call(Params):
    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)

    def template(self) -> tuple[str, str]:
        if isinstance(self.arguments, str):
            return self.name, self.arguments
        # Encoding doubled the backslash of each group reference; a template has it single.
        return self.name, re.sub(r"\\\\([1-9])", r"\\\1", json.dumps(self.arguments))


class RuleShape(Params):
    """A rule as people write it: the members of `When`, and a fault or a reply."""

    fault: str | None = Field(None, description="A name of the catalogue.")
    model: str = Field("*", description="For models like this, * for any letters.")
    key: str = Field("", description="For this key.")
    text: str = Field("", description="Where the last message holds this regular expression.")
    call: int | None = Field(None, ge=1, description="This one call.")
    from_call: int = Field(1, ge=1, description="From this call on.")
    to_call: int | None = Field(None, ge=1, description="Up to this call.")
    every: int = Field(1, ge=1, description="Each second call of these, third one, …")
    after_s: float = Field(0, ge=0, description="Seconds until it begins.")
    until_s: float | None = Field(None, ge=0, description="Seconds until it is over.")
    probability: float = Field(1, ge=0, le=1, description="A share of the calls.")
    reply: str | None = Field(None, description="The answer, instead of a fault.")
    calls: list[_Call] = Field(default=[], description="Tools to ask for before it, as JSON.")
    finish_reason: str | None = Field(None, description="How the answer ends.")
    delay_s: float | None = Field(None, ge=0, description="Seconds to its first byte.")
    tokens_per_s: float | None = Field(None, ge=0, description="Its speed.")

    def to_rule(self, *, delay_s: float = 0, tokens_per_s: float = 0) -> Rule:
        """The rule; the pace is for a reply without its own. Raises `ConfigError`."""
        when = When(
            model=self.model,
            key=self.key,
            text=self.text,
            from_call=self.call or self.from_call,
            to_call=self.call or self.to_call,
            every=self.every,
            after_s=self.after_s,
            until_s=self.until_s,
            probability=self.probability,
        )
        replies = self.reply is not None or self.calls or self.finish_reason
        if self.fault is not None and not replies:
            return Rule(when, fault=find(self.fault))
        if self.fault is not None:
            raise ConfigError("a rule has either a fault or a reply")
        if not replies and self.delay_s is None and self.tokens_per_s is None:
            raise ConfigError("a rule says what to do: fault, reply, calls, delay_s, tokens_per_s")
        said = "{results}" if self.calls else ECHO
        reply = Reply(
            text=said if self.reply is None else self.reply,
            tool_calls=tuple(call.template() for call in self.calls),
            finish_reason=self.finish_reason,
            delay_s=delay_s if self.delay_s is None else self.delay_s,
            tokens_per_s=tokens_per_s if self.tokens_per_s is None else self.tokens_per_s,
        )
        return Rule(when, reply=reply)


class _File(Params):
    seed: int = 0
    delay_s: float = Field(0, ge=0)
    tokens_per_s: float = Field(0, ge=0)
    keys: dict[str, str] = Field(default_factory=dict)
    rules: list[RuleShape] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a file says. `keys` may be shown: they are the simulator's own."""

    rules: tuple[Rule, ...] = ()
    keys: frozenset[str] = frozenset()
    seed: int = 0


def load(path: Path) -> Scenario:
    """Read a file of rules; blocks, so call it at start."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        text = data.decode("utf-8-sig")
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:  # undecodable text, broken TOML and JSON are ValueErrors
        raise ConfigError(f"{path} cannot be read: {error}") from error
    try:
        return parse(found)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(found: object) -> Scenario:
    """The scenario in the content of a file."""
    try:
        file = _File.model_validate(found)
    except ValidationError as error:
        raise ConfigError(in_words(_File, error, whole="the whole")) from error
    rules = [
        Rule(When(key=key), fault=find(fault))
        for key, fault in file.keys.items()
        if fault != HEALTHY
    ]
    for number, shape in enumerate(file.rules):
        try:
            rules.append(shape.to_rule(delay_s=file.delay_s, tokens_per_s=file.tokens_per_s))
        except ConfigError as error:
            raise ConfigError(f"rules.{number}: {error}") from error
    if file.delay_s or file.tokens_per_s:
        rules.append(Rule(reply=Reply(ECHO, delay_s=file.delay_s, tokens_per_s=file.tokens_per_s)))
    return Scenario(tuple(rules), frozenset(file.keys), file.seed)


def fault_option(text: str) -> Rule:
    """`NAME`, `NAME=0.1` or `NAME@KEY` as on the command line. Raises `ConfigError`."""
    name, _, key = text.partition("@")
    name, _, share = name.partition("=")
    try:
        return RuleShape(fault=name, key=key, probability=float(share or 1)).to_rule()
    except ValidationError as error:
        raise ConfigError(in_words(RuleShape, error)) from error
    except ValueError:
        raise ConfigError(f"{share!r} is no share of the calls: 0 to 1") from None
