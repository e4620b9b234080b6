"""Reading a script for the scripted model from a file.

A `.json` file holds a list of rules with the members of `Rule` (`pattern` is required). Any other
file has one rule a line, `pattern => reply`; empty lines and lines starting with `#` are skipped,
and `\\n` in a reply is a line break. Raises `ConfigError` naming the rule that is wrong. Called by
whoever builds the model.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from agents.models.scripted import Call, Rule
from gateway.core.errors import ConfigError, ModelCategory

MAX_SCRIPT_BYTES = 1024 * 1024
"""A script is written by hand; more than this is another file."""


class _Call(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict)

    def to_call(self) -> Call:
        if isinstance(self.arguments, str):
            return Call(self.name, self.arguments)
        # Encoding doubled the backslash of each group reference; a template has it single.
        return Call(self.name, re.sub(r"\\\\([1-9])", r"\\\1", json.dumps(self.arguments)))


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pattern: str
    reply: str = "{results}"
    calls: list[_Call] = Field(default_factory=list)
    rounds: int = Field(default=1, ge=0)
    fail: ModelCategory | None = None
    retry_after_ms: int | None = Field(default=None, ge=0)
    finish_reason: str = "stop"
    times: int = Field(default=0, ge=0)
    deltas: int = Field(default=4, ge=1)
    latency_s: float = Field(default=0.0, ge=0)

    def to_rule(self) -> Rule:
        return Rule(
            pattern=self.pattern,
            reply=self.reply,
            calls=tuple(call.to_call() for call in self.calls),
            rounds=self.rounds,
            fail=self.fail,
            retry_after_ms=self.retry_after_ms,
            finish_reason=self.finish_reason,
            times=self.times,
            deltas=self.deltas,
            latency_s=self.latency_s,
        )


_RULES = TypeAdapter(list[_Rule])


def load(path: Path) -> tuple[Rule, ...]:
    """The rules of a file; reads it at once, so call it at start."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT_BYTES + 1)
        if len(data) > MAX_SCRIPT_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_SCRIPT_BYTES} bytes")
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not a readable text file: {error}") from error
    try:
        return parse_json(text) if path.suffix == ".json" else parse_lines(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_json(text: str) -> tuple[Rule, ...]:
    """The rules of a JSON script."""
    try:
        found = _RULES.validate_json(text)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'script'}: {detail['msg']}"
            for detail in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("; ".join(problems)) from error
    return tuple(rule.to_rule() for rule in found)


def parse_lines(text: str) -> tuple[Rule, ...]:
    """The rules of a text script."""
    rules: list[Rule] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pattern, arrow, reply = line.partition("=>")
        if not arrow or not pattern.strip():
            raise ConfigError(f"line {number} is not `pattern => reply`")
        try:
            rules.append(Rule(pattern.strip(), reply.strip().replace("\\n", "\n")))
        except ConfigError as error:
            raise ConfigError(f"line {number}: {error}") from error
    return tuple(rules)
