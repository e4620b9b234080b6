"""A request as this model at this profile can take it: without tools, without images, within its
output, its system prompt among the messages, one tool call at a time. Pure.

A server without tools refuses or misreads the calls in a history, so they become text, and the
model is told that it has none.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import replace

from agents import context
from agents.base import size
from agents.base.messages import AssistantMessage, Message, Messages, ToolMessage, UserMessage
from agents.base.models import USUAL, ModelRequest
from agents.resilience import shrinking
from agents.resilience.abilities import Abilities
from gateway.core.parts import Image, Text

NO_TOOLS = "You have no tools in this answer. If one is needed, say that you cannot use it now."
NO_IMAGE = "[an image that this model cannot see]"
IMAGE_SAVES = size.IMAGE_TOKENS - size.of_text(NO_IMAGE)
"""Tokens by which a request is smaller for each picture that is told as a line."""
MAX_RESULT_CHARS = 500
"""As much of a tool's result is shown as text; models without tools are small."""


def fitted(
    request: ModelRequest, able: Abilities, model: str, *, output: int, profile: str = ""
) -> ModelRequest:
    """The request for this model at this profile, whose answer may have `output` tokens."""
    fit = request
    if (model, output) != (request.model, request.max_tokens):
        fit = replace(request, model=model, max_tokens=output)
    return _without(fit, able, profile) if able.lacks or able.limit_name else fit


def _without(request: ModelRequest, able: Abilities, profile: str) -> ModelRequest:
    """The request in other words, where something of it is not taken."""
    fit = replace(request, dialect=able.dialect) if able.dialect != USUAL else request
    if not able.takes("temperature"):
        fit = replace(fit, temperature=None)
    if not able.takes("images") and holds_images(fit):
        fit = blind(fit)
    if not able.takes("thoughts"):
        fit = thoughtless(fit)
    if not able.takes("foreign_calls"):
        fit = without_foreign(fit, profile)
    if not able.takes("tools"):
        if request.tools:
            fit = replace(fit, tools=(), system=f"{fit.system}\n\n{NO_TOOLS}".lstrip())
        if any(isinstance(said, ToolMessage) for said in fit.messages):
            fit = replace(fit, messages=context.for_request(without_tools(fit.messages)))
    elif not able.takes("parallel_calls"):
        fit = replace(fit, messages=tuple(_one_by_one(fit.messages)))
    if not able.takes("system") and fit.system:
        fit = replace(fit, system="", messages=_told_first(fit.system, fit.messages))
    return fit


def window_as_asked(window: int, request: ModelRequest, able: Abilities, ratio: float) -> int:
    """The window this request may be taken for where the profile is sent less than all of it.

    `ratio` is how many tokens its model counts where we guess one.
    """
    unsent = 0 if able.takes("tools") else request.tool_guess
    if not able.takes("images"):
        unsent += sum(map(_images_in, request.messages)) * IMAGE_SAVES
    if able.identity:
        unsent += max(size.of_text(request.system) - able.identity, 0)
    if not (window and unsent):
        return window
    room = shrinking.room(window, request.max_tokens)
    return shrinking.window_for(room + round(unsent * ratio), request.max_tokens)


def holds(request: ModelRequest, member: str, *, profile: str = "") -> bool:
    """Whether a refusal of this member by this profile can be about this request."""
    match member:
        case "thoughts":
            return any(_is_own(said, profile, request.model) for said in request.messages)
        case "foreign_calls":
            return any(_is_foreign(said, profile, request.model) for said in request.messages)
        case "images":
            return holds_images(request)
        case "tools":
            return bool(request.tools) or any(
                isinstance(said, ToolMessage) for said in request.messages
            )
        case "parallel_calls":
            return any(_calls_several(said) for said in request.messages)
        case "system":
            return bool(request.system)
        case "temperature":
            return request.temperature is not None
        case "stream_options":
            return request.dialect.stream_options
        case _:  # a name of the output limit
            return request.dialect.limit_name in ("", member)


def holds_images(request: ModelRequest) -> bool:
    """Whether there is a picture in it."""
    return any(map(_images_in, request.messages))


def blind(request: ModelRequest) -> ModelRequest:
    """The same with a line of text in the place of each picture."""
    return replace(request, messages=without_images(request.messages))


def without_images(messages: Messages) -> Messages:
    """The same conversation with a line of text in the place of each picture."""
    return tuple(map(_blind, messages))


def thoughtless(request: ModelRequest) -> ModelRequest:
    """The same without what servers sent beside their answers."""
    return replace(request, messages=tuple(map(_thoughtless, request.messages)))


def without_foreign(request: ModelRequest, profile: str) -> ModelRequest:
    """The same with calls as text that this model at this profile did not send its thoughts with:
    some models refuse to go on from calls without them."""
    foreign = {
        call.id
        for said in request.messages
        if isinstance(said, AssistantMessage) and _is_foreign(said, profile, request.model)
        for call in said.tool_calls
    }
    if not foreign:
        return request
    return replace(request, messages=context.for_request(tuple(_told(request.messages, foreign))))


def without_tools(messages: Messages) -> Messages:
    """The same conversation with calls and results as text."""
    return tuple(_told(messages))


def _told_first(system: str, messages: Messages) -> Messages:
    """The system prompt in front of the first thing a user said."""
    first, rest = messages[0], messages[1:]
    if isinstance(first, UserMessage):
        return (UserMessage((Text(f"{system}\n\n"), *first.parts)), *rest)
    return (UserMessage((Text(system),)), *messages)


def _one_by_one(messages: Messages) -> Iterator[Message]:
    """Each call in a message of its own, with its result behind it."""
    results = {said.call_id: said for said in messages if isinstance(said, ToolMessage)}
    for said in messages:
        match said:
            case AssistantMessage() if _calls_several(said):
                for place, call in enumerate(said.tool_calls):
                    yield replace(said, text="" if place else said.text, tool_calls=(call,))
                    if call.id in results:
                        yield results.pop(call.id)
            case ToolMessage(call_id) if call_id not in results:
                pass  # told behind its call
            case _:
                yield said


def _told(messages: Messages, ids: Container[str] | None = None) -> Iterator[Message]:
    """With the calls of these ids as text, and their results; all where none are given."""
    for said in messages:
        match said:
            case AssistantMessage(text, calls) if calls and (ids is None or calls[0].id in ids):
                called = (f"[called {call.name} with {call.arguments}]" for call in calls)
                told = "\n".join((text, *called)).strip()
                yield replace(said, text=told, tool_calls=(), opaque=None)
            case ToolMessage(call_id, name, text, is_error) if ids is None or call_id in ids:
                word = "failed" if is_error else "said"
                shown = text if len(text) <= MAX_RESULT_CHARS else text[:MAX_RESULT_CHARS] + " …"
                yield UserMessage((Text(f"[{name} {word}: {shown}]"),))
            case _:
                yield said


def _is_own(message: Message, profile: str, model: str) -> bool:
    """Whether it holds what this model at this profile sent beside it."""
    if not isinstance(message, AssistantMessage):
        return False
    besides = (message.opaque, *(call.opaque for call in message.tool_calls))
    return any(one and (one.profile, one.model) == (profile, model) for one in besides)


def _is_foreign(message: Message, profile: str, model: str) -> bool:
    calls = isinstance(message, AssistantMessage) and bool(message.tool_calls)
    return calls and not _is_own(message, profile, model)


def _thoughtless(message: Message) -> Message:
    if not isinstance(message, AssistantMessage):
        return message
    calls = tuple(replace(call, opaque=None) for call in message.tool_calls)
    return replace(message, tool_calls=calls, opaque=None)


def _calls_several(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and len(message.tool_calls) > 1


def _images_in(message: Message) -> int:
    if not isinstance(message, UserMessage):
        return 0
    return sum(isinstance(part, Image) for part in message.parts)


def _blind(message: Message) -> Message:
    if not _images_in(message):
        return message
    assert isinstance(message, UserMessage)  # the only role that has any
    parts = (Text(NO_IMAGE) if isinstance(part, Image) else part for part in message.parts)
    return UserMessage(tuple(parts))
