"""What a conversation is made of, as an agent and a model see it.

The system prompt is not a message: it belongs to a turn, not to the transcript. `to_json` and
`from_json` are the only code that knows the stored form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, assert_never

from gateway.core import parts
from gateway.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Opaque:
    """What a server sent beside an answer or a call, such as thoughts or their signature.

    `members` are those of its message or call as a JSON object. Only this model at this profile
    gets them back; they are not for people's eyes.
    """

    profile: str
    model: str
    members: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish. `arguments` is the text the model wrote; the tool validates it."""

    id: str
    name: str
    arguments: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What a person, a peer or a schedule said."""

    parts: parts.Parts


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the agent said; `partial` when it was cancelled before the end."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    partial: bool = False
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What a tool answered to the call `call_id`."""

    call_id: str
    name: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class SummaryMessage:
    """Stands for everything before it but the `keeps` messages right before it.

    What it stands for stays in the transcript; only models are shown the summary instead. `window`
    is how many tokens the model took it was made for, 0 where that was not known or it is for any:
    one that takes much more is shown the originals.
    """

    text: str
    keeps: int
    window: int = 0


Said = UserMessage | AssistantMessage | ToolMessage
"""What somebody said; a summary is nobody's words."""
Message = Said | SummaryMessage
Messages = tuple[Message, ...]


def to_json(message: Message) -> dict[str, Any]:
    """The stored form: an object told apart by `role`."""
    match message:
        case UserMessage(said):
            return {"role": "user", "parts": parts.to_json(said)}
        case AssistantMessage(text, calls, partial, opaque):
            value: dict[str, Any] = {"role": "assistant", "text": text}
            if calls:
                value["tool_calls"] = [call_to_json(call) for call in calls]
            if partial:
                value["partial"] = True
            return value | opaque_to_json(opaque)
        case ToolMessage(call_id, name, text, is_error):
            value = {"role": "tool", "call_id": call_id, "name": name, "text": text}
            if is_error:
                value["is_error"] = True
            return value
        case SummaryMessage(text, keeps, window):
            return {"role": "summary", "text": text, "keeps": keeps, "window": window}
        case _:
            assert_never(message)


def from_json(value: Any) -> Message:
    """Read the stored form; raises `InvalidInput` naming the role or member that is wrong."""
    try:
        match value["role"]:
            case "user":
                return UserMessage(parts.from_json(value["parts"]))
            case "assistant":
                return AssistantMessage(
                    str(value["text"]),
                    tuple(call_from_json(call) for call in value.get("tool_calls", ())),
                    bool(value.get("partial", False)),
                    opaque_from_json(value),
                )
            case "tool":
                return ToolMessage(
                    str(value["call_id"]),
                    str(value["name"]),
                    str(value["text"]),
                    bool(value.get("is_error", False)),
                )
            case "summary":
                return SummaryMessage(
                    str(value["text"]), int(value["keeps"]), int(value.get("window", 0))
                )
            case role:
                raise InvalidInput(f"role must be user, assistant or tool, got {role!r}")
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"a stored message lacks or garbles {error}") from error


def call_to_json(call: ToolCall) -> dict[str, Any]:
    """The stored form of one tool call."""
    said: dict[str, Any] = {"id": call.id, "name": call.name, "arguments": call.arguments}
    return said | opaque_to_json(call.opaque)


def call_from_json(value: Any) -> ToolCall:
    """Read one stored tool call."""
    return ToolCall(
        str(value["id"]), str(value["name"]), str(value["arguments"]), opaque_from_json(value)
    )


def opaque_to_json(opaque: Opaque | None) -> dict[str, Any]:
    """As the member of what it was sent beside; nothing where nothing was."""
    if opaque is None:
        return {}
    return {"opaque": {"profile": opaque.profile, "model": opaque.model, "members": opaque.members}}


def opaque_from_json(value: Any) -> Opaque | None:
    """Read it; None in what is older than it."""
    stored = value.get("opaque")
    if stored is None:
        return None
    return Opaque(str(stored["profile"]), str(stored["model"]), str(stored["members"]))
