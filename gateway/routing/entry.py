"""One rule as JSON, in either of its spellings, checked and turned into a binding.

`agent` with a `match` object is the spelling of the documentation; `agent_id` with one `match_key`
and `match_value` is the older one. Rules of the route file and rules set at run time both come
through `read_binding`, so both obey the same rules. Nothing outside a shape sees JSON.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from gateway.core.keys import normalise_agent_id
from gateway.routing.bindings import Binding, Match, Source, derived_id
from gateway.routing.problems import Problem, Severity
from gateway.routing.shapes import Shape, checked


def _agent_name(value: str) -> str:
    if not normalise_agent_id(value):
        raise PydanticCustomError("agent", "an agent id has a letter or a digit")
    return value


def _match_value(value: str) -> str:
    if not value:
        raise PydanticCustomError("empty", "an empty value would match all that have none")
    if value == "*":
        raise PydanticCustomError("wildcard", "there is no wildcard; leave the member out")
    return value


class _Absent(Enum):
    """A member that is not there, which `""` would not tell from one that is there and empty."""

    ABSENT = "absent"


def _channel(value: object, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> str:
    if value is not _Absent.ABSENT:
        return _match_value(check(value))
    if any(info.data.values()):
        # Anybody may be called 42 somewhere: without its channel, the rule for one person's agent
        # would let in a stranger.
        raise PydanticCustomError(
            "missing_channel", "missing: the other members mean something within one channel only"
        )
    return ""


def _value_of_key(value: str, info: ValidationInfo) -> str:
    match info.data.get("match_key"):
        case None:  # a key that does not exist is problem enough
            return value
        case "default":
            if value != "*":
                raise PydanticCustomError("default", "'default' matches all and is written '*'")
            return value
        case "peer_id":
            channel, _, peer = value.partition(":")
            if not (channel and peer):
                raise PydanticCustomError(
                    "peer", "expected 'channel:peer': an id means something within one channel only"
                )
            _match_value(peer)
    return _match_value(value)


AgentName = Annotated[str, AfterValidator(_agent_name)]
Value = Annotated[str, AfterValidator(_match_value)]
_INT32 = 2**31 - 1


class _Match(Shape):
    account: Value = ""
    guild: Value = ""
    group: Value = ""
    thread: Value = ""
    peer: Value = ""
    # Last, because a validator sees what stands before its field.
    channel: Annotated[str, WrapValidator(_channel)] = Field(
        default_factory=lambda: _Absent.ABSENT,
        validate_default=True,
    )


class _Common(Shape):
    id: str = Field("", min_length=1)
    priority: int = Field(0, ge=-_INT32, le=_INT32)
    tier: int | None = Field(None, ge=1, le=5)


class _Rule(_Common):
    agent: AgentName = Field(description="the id of the agent that answers")
    match: _Match = Field(description="an object; an empty one matches every message")

    def read(self) -> tuple[str, Match]:
        return self.agent, Match(**self.match.model_dump())


class _PairRule(_Common):
    agent_id: AgentName = Field(description="the id of the agent that answers")
    match_key: Literal["peer_id", "guild_id", "account_id", "channel", "default"] = "default"
    match_value: Annotated[str, AfterValidator(_value_of_key)] = Field("*", validate_default=True)

    def read(self) -> tuple[str, Match]:
        match self.match_key:
            case "default":
                return self.agent_id, Match()
            case "peer_id":
                channel, _, peer = self.match_value.partition(":")
                return self.agent_id, Match(channel=channel, peer=peer)
            case key:
                return self.agent_id, Match(**{key.removesuffix("_id"): self.match_value})


def read_binding(
    raw: object, *, path: str, source: Source, order: int = 0
) -> tuple[Binding | None, tuple[Problem, ...]]:
    """The rule that stands at `path`, and what is wrong with it; None when that is an error."""
    report: list[Problem] = []
    pair = isinstance(raw, dict) and "agent_id" in raw and "match" not in raw
    rule: _Rule | _PairRule | None = (
        checked(_PairRule, raw, path, report) if pair else checked(_Rule, raw, path, report)
    )
    if rule is None:
        return None, tuple(report)
    name, match = rule.read()
    agent = normalise_agent_id(name)
    if rule.tier is not None and rule.tier != match.tier:
        text = f"{rule.tier} contradicts the match, {match} is tier {match.tier}; leave tier out"
        return None, (Problem(f"{path}.tier", text),)
    if match != Match() and not match.channel:
        # The older spelling has no room for the channel: refusing would leave no way to write it.
        text = f"matches {match} on every channel; a match object can name the channel as well"
        report.append(Problem(f"{path}.match_value", text, Severity.WARNING))
    name = rule.id or derived_id(agent, match)
    return Binding(name, agent, match, rule.priority, source, path, order), tuple(report)
