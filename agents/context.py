"""Repair of a transcript, so that any provider accepts it: pure, total, idempotent.

Crashes, cancellations, imports and failovers between providers leave histories that one provider
or another refuses with a 400 for ever after. `repair` turns any history into one with these
properties, and never loses what a user said:

- it starts with a user message, and neither two user nor two assistant messages meet; behind the
  results of calls the agent speaks before the user does, as Mistral and alternating templates want;
- every tool call is followed at once by exactly one result, in the order of the calls, and there
  is no result without its call;
- call ids are unique and, like tool names, of letters, digits, `_` and `-`; arguments are a JSON
  object;
- no message is empty, and an answer that was cut short says so.

It decides left to right, so a longer history keeps the repaired form of its beginning and the
provider's prefix cache stays warm. Called by the turn before each model call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from agents.base.messages import (
    AssistantMessage,
    Messages,
    Said,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.summaries import view
from gateway.core.parts import Text

INTERRUPTED = "This call was interrupted; it is not known whether it took effect."
"""Result of a call that never got one."""

CUT_SHORT = "[the answer was cut short here]"
"""Ends the text of every partial answer."""

STARTED_BY_AGENT = "[the agent speaks first]"
"""What stands for the user where a transcript starts with the agent."""

EMPTY_MESSAGE = "[empty message]"
"""What stands for a message without any content."""

UNANSWERED = "[there was no answer]"
"""What stands for the agent where a user went on behind the results of its calls."""

GO_ON = "[go on]"
"""What stands for the user where a model is asked although nobody said anything new."""

MAX_ID_CHARS = 40
"""Longest call id that is kept, as OpenAI bounds it; the client writes what any provider takes."""

MAX_NAME_CHARS = 64
"""Longest tool name that every known provider takes."""

_NOT_WORD = re.compile(r"[^a-zA-Z0-9_-]+")


def repair(history: Messages) -> Messages:
    """The history in a form any provider accepts."""
    said: list[Said] = []
    taken: set[str] = set()
    for piece in pieces(view(history)):
        if len(piece) == 2 and type(piece[0]) is UserMessage and _is_whole(piece[1]):
            said += (_filled(piece[0]), piece[1])
        else:
            said += _merged(_paired(piece, taken))
    if said and not isinstance(said[0], UserMessage):
        return (UserMessage((Text(STARTED_BY_AGENT),)), *said)
    return tuple(said)


def for_request(history: Messages) -> Messages:
    """The repaired history, ending with something to answer: some providers refuse to go on
    after an assistant message."""
    said = repair(history)
    if not said or isinstance(said[-1], AssistantMessage):
        return (*said, UserMessage((Text(GO_ON),)))
    return said


def call_ids(history: Messages) -> set[str]:
    """Every call id in a history."""
    return {
        call.id
        for message in history
        if isinstance(message, AssistantMessage)
        for call in message.tool_calls
    }


def fresh_id(wanted: str, taken: set[str]) -> str:
    """`wanted` if any provider takes it and it is free, else the nearest id that is."""
    base = _NOT_WORD.sub("_", wanted)[:MAX_ID_CHARS] or "call"
    chosen, count = base, 1
    while chosen in taken:
        count += 1
        suffix = f"_{count}"
        chosen = base[: MAX_ID_CHARS - len(suffix)] + suffix
    return chosen


def interrupted(call: ToolCall) -> ToolMessage:
    """The result of a call that was cut off."""
    return ToolMessage(call.id, call.name, INTERRUPTED, is_error=True)


def pieces(history: tuple[Said, ...]) -> Iterator[tuple[Said, ...]]:
    """The history cut wherever a user speaks behind a whole answer: what is before is not changed
    by what comes behind. Most pieces are a question and its answer, which stay as they are, and
    long conversations are repaired for each call."""
    begin = 0
    for place, (last, message) in enumerate(pairwise(history), 1):
        if type(message) is UserMessage and _is_whole(last):
            yield history[begin:place]
            begin = place
    yield history[begin:]


def _is_whole(message: Said) -> bool:
    return (
        type(message) is AssistantMessage
        and not message.tool_calls
        and not message.partial
        and bool(message.text.strip())
    )


def _paired(history: tuple[Said, ...], taken: set[str]) -> Iterator[Said]:
    """Each call with its result right behind it; results that belong to no call are gone."""
    for head, tail in _stretches(history):
        if head is not None and not head.tool_calls and not head.partial:
            yield head
        elif head is not None:
            calls = tuple(_valid_calls(head.tool_calls, taken))
            yield replace(head, text=_marked(head), tool_calls=calls)
            yield from _results(head.tool_calls, calls, tail)
        for message in tail:
            if isinstance(message, UserMessage):
                yield message


def _stretches(
    history: tuple[Said, ...],
) -> Iterator[tuple[AssistantMessage | None, list[UserMessage | ToolMessage]]]:
    """Each assistant message with what follows it up to the next one.

    A result may have slipped behind a user message, when that was stored first; it counts as long
    as the agent has not spoken again.
    """
    head: AssistantMessage | None = None
    tail: list[UserMessage | ToolMessage] = []
    for message in history:
        if not isinstance(message, AssistantMessage):
            tail.append(message)
        elif message.tool_calls or message.text.strip():
            yield head, tail
            head, tail = message, []
    yield head, tail


def _valid_calls(calls: Iterable[ToolCall], taken: set[str]) -> Iterator[ToolCall]:
    for call in calls:
        chosen = fresh_id(call.id, taken)
        taken.add(chosen)
        name = _NOT_WORD.sub("_", call.name)[:MAX_NAME_CHARS] or "unnamed"
        yield replace(call, id=chosen, name=name, arguments=_json_object(call.arguments))


def _results(
    asked: tuple[ToolCall, ...],
    calls: tuple[ToolCall, ...],
    tail: list[UserMessage | ToolMessage],
) -> Iterator[ToolMessage]:
    """One result a call. Where calls share an id, the n-th result of that id is the n-th call's."""
    waiting: dict[str, list[ToolMessage]] = {}
    for message in tail:
        if isinstance(message, ToolMessage):
            waiting.setdefault(message.call_id, []).append(message)
    for before, call in zip(asked, calls, strict=True):
        found = waiting.get(before.id)
        if found:
            yield replace(found.pop(0), call_id=call.id, name=call.name)
        else:
            yield interrupted(call)


def _json_object(arguments: str) -> str:
    """The arguments if they are a JSON object; other text is kept as the member of one.

    Several servers parse the arguments of old calls and refuse the request when they cannot.
    """
    try:
        parsed = json.loads(arguments, parse_constant=_not_json)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        return arguments
    return json.dumps({"text": arguments} if arguments.strip() else {})


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is in no JSON but Python's")


def _marked(message: AssistantMessage) -> str:
    if not message.partial or message.text.endswith(CUT_SHORT):
        return message.text if message.text.strip() else ""
    return f"{message.text.rstrip()}\n{CUT_SHORT}".lstrip()


def _merged(messages: Iterable[Said]) -> list[Said]:
    """No two of a kind in a row, and user messages that hold something."""
    said: list[Said] = []
    for message in messages:
        last = said[-1] if said else None
        match last, message:
            case UserMessage(before), UserMessage(after):
                said[-1] = UserMessage((*before, *after))
            case AssistantMessage(before_text, ()), AssistantMessage():
                texts = (text for text in (before_text, message.text) if text.strip())
                said[-1] = replace(message, text="\n\n".join(texts))
            case ToolMessage(), UserMessage():
                said += [AssistantMessage(UNANSWERED), message]
            case _:
                said.append(message)
    return [_filled(message) if isinstance(message, UserMessage) else message for message in said]


def _filled(message: UserMessage) -> UserMessage:
    """Without blank text, which some providers refuse; with a word where nothing is left."""
    kept = [part for part in message.parts if not isinstance(part, Text) or part.text.strip()]
    if kept and len(kept) == len(message.parts):
        return message
    return UserMessage(tuple(kept) or (Text(EMPTY_MESSAGE),))
