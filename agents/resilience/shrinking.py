"""Making a conversation smaller, one rung at a time. Pure; the turn decides when, and pays.

Free rungs come first: results of tools that were used long ago are cleared, the longest are cut.
Then the oldest half is summarised, and if that does not work either, left out. What a person said
last always stays, and no cut separates a call from its result. Originals stay in the transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.base import size
from agents.base.messages import AssistantMessage, Message, Messages, ToolMessage, UserMessage
from agents.base.models import ModelRequest
from gateway.core.parts import Text, text_of

FULL_SHARE = 0.87
"""Share of the room at which a conversation is made smaller before it is sent."""
GOAL_SHARE = 0.6
"""Share of the room that free rungs aim at, so that the next turn does not start over."""
PROGRESS = 0.95
"""A rung that leaves more than this has done nothing and is not counted on."""
KEPT_SHARE, KEPT_LEAST = 0.2, 4
"""The newest messages stay as they are."""
RESULT_SHARE = 0.3
"""Longest share of the room that one tool result may take."""
SUMMARY_TOKENS = 2048
PREVIEW_CHARS = 500
"""As much of a tool result goes into a summary."""
UNKNOWN_CHARS = 1 << 19
"""Results of tools that are sent where no window is known: about 130 000 tokens."""
UNKNOWN_GOAL = UNKNOWN_CHARS // 2
"""What is left of them once there are more, so that the next round does not start over."""
CLEARED_CHARS = 200
"""A shorter result is not worth clearing."""

CLEARED = "[the result of {name}, {chars} characters, was cleared to make room]"
CUT = "\n[cut here; {chars} more characters were left out to make room]"
LEFT_OUT = "[the beginning of this conversation was left out: it was too long]"
SUMMARY_SYSTEM = (
    "You summarise the beginning of a conversation between a user and an assistant, so that the "
    "assistant can go on without it. Keep names, numbers, decisions, open questions, promises, "
    "file names and what tools found out. Write plain sentences; answer no question in it."
)


def room(window: int, max_tokens: int) -> int:
    """Tokens a prompt may have in this window, beside the answer."""
    return window - min(max_tokens, window // 4)


def window_for(room: int, max_tokens: int) -> int:
    """The window in which just this much is the room of a prompt."""
    return min(room + max_tokens, room * 4 // 3)


def cleared(messages: Messages) -> Messages:
    """Old results of tools replaced by a line that says so."""
    newest = len(messages) - _kept(len(messages))
    return tuple(
        _cleared(said) if isinstance(said, ToolMessage) and place < newest else said
        for place, said in enumerate(messages)
    )


def relieved(messages: Messages) -> Messages:
    """Old results of tools cleared where there are too many for any model, the newest round kept.

    For models whose window is not known: the whole conversation is sent again in each round.
    """
    if ToolMessage not in map(type, messages):
        return messages
    lengths = [len(said.text) if isinstance(said, ToolMessage) else 0 for said in messages]
    if sum(lengths) <= UNKNOWN_CHARS:
        return messages
    asked = [place for place, said in enumerate(messages) if isinstance(said, AssistantMessage)]
    newest = asked[-1] if asked else 0
    left, kept = UNKNOWN_GOAL - sum(lengths[newest:]), len(messages)
    for place in range(newest - 1, -1, -1):
        left -= lengths[place]
        if left < 0:
            kept = place + 1
            break
    return tuple(
        _cleared(said) if isinstance(said, ToolMessage) and place < min(kept, newest) else said
        for place, said in enumerate(messages)
    )


def truncated(messages: Messages, tokens: int) -> Messages:
    """No result of a tool longer than its share of a room of so many tokens."""
    most = max(int(4 * RESULT_SHARE * tokens), CLEARED_CHARS)
    return tuple(
        replace(said, text=head(said.text, most))
        if isinstance(said, ToolMessage) and len(said.text) > most
        else said
        for said in messages
    )


def splits(messages: Messages) -> list[int]:
    """Where a summary of the beginning may end: about half first, then ever later."""
    count = len(messages)
    most = count - _kept(count)
    half = min(max(2, count // 2), most)
    cuts = [place for place in _cuts(messages) if 2 <= place <= most]
    return [*[place for place in cuts if place <= half][-1:], *(p for p in cuts if p > half)]


def dropped(messages: Messages, tokens: int) -> Messages:
    """The newest whole exchanges that fit, the last one in any case."""
    cuts = _cuts(messages)
    sizes = [size.of_message(said) for said in messages]
    for place in cuts:
        if sum(sizes[place:]) <= tokens:
            return (UserMessage((Text(LEFT_OUT),)), *messages[place:])
    last = cuts[-1] if cuts else 0
    return (UserMessage((Text(LEFT_OUT),)), *messages[last:]) if last else messages


def summary_request(asked: ModelRequest, beginning: Messages, tokens: int) -> ModelRequest:
    """What asks for the summary of a beginning, itself no larger than so many tokens."""
    limit = max(min(SUMMARY_TOKENS, tokens // 4), 64)
    most = max(3 * (tokens - limit) - len(SUMMARY_SYSTEM), 1000)
    told = [_told(said) for said in beginning]
    # An earlier summary stands first and is worth most; then what is newest.
    first = told[0][: most // 2]
    rest = "\n".join(told[1:])
    text = f"{first}\n{rest[-(most - len(first)) :]}" if rest else first
    return replace(
        asked,
        system=SUMMARY_SYSTEM,
        messages=(UserMessage((Text(text),)),),
        tools=(),
        max_tokens=limit,
        temperature=None,
    )


def _kept(count: int) -> int:
    return max(KEPT_LEAST, int(KEPT_SHARE * count))


def _cuts(messages: Sequence[Message]) -> list[int]:
    """Places before which nothing is left open, and after which somebody still asks something."""
    asked = [place for place, said in enumerate(messages) if isinstance(said, UserMessage)]
    last = asked[-1] if asked else 0
    return [
        place
        for place, said in enumerate(messages)
        if 0 < place <= last and isinstance(said, UserMessage)
    ]


def head(text: str, chars: int) -> str:
    """The beginning, up to the end of a line where one is near."""
    head = text[:chars]
    line = head.rfind("\n")
    if line > chars // 2:
        head = head[:line]
    return head + CUT.format(chars=len(text) - len(head))


def _cleared(said: ToolMessage) -> ToolMessage:
    if len(said.text) <= CLEARED_CHARS:
        return said
    return replace(said, text=CLEARED.format(name=said.name, chars=len(said.text)))


def _told(message: Message) -> str:
    match message:
        case UserMessage(parts):
            return f"User: {text_of(parts)}"
        case AssistantMessage(text, calls):
            called = "".join(f" [calls {call.name} {call.arguments}]" for call in calls)
            return f"Assistant: {text}{called}"
        case ToolMessage(_, name, text):
            return f"Result of {name}: {text[:PREVIEW_CHARS]}"
        case _:
            return message.text
