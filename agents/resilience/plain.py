"""A request as this profile can take it: without tools, without images, within its output. Pure.

A server without tools refuses or misreads the calls in a history, so they become text, and the
model is told that it has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agents import context
from agents.base import size
from agents.base.messages import AssistantMessage, Message, Messages, ToolMessage, UserMessage
from agents.base.models import ModelRequest
from agents.models.profile import Profile
from agents.resilience import shrinking
from gateway.core.parts import Image, Part, Text

NO_TOOLS = "You have no tools in this answer. If one is needed, say that you cannot use it now."
NO_IMAGE = "[an image that this model cannot see]"
MAX_RESULT_CHARS = 500
"""As much of a tool's result is shown as text; models without tools are small."""


def fitted(request: ModelRequest, profile: Profile, model: str, *, output: int) -> ModelRequest:
    """The request for this model at this profile, whose answer may have `output` tokens."""
    fit = request
    if (model, output) != (request.model, request.max_tokens):
        fit = replace(request, model=model, max_tokens=output)
    if not profile.images and any(_holds_image(said) for said in fit.messages):
        fit = replace(fit, messages=tuple(_blind(said) for said in fit.messages))
    if profile.tools:
        return fit
    if request.tools:
        system = f"{fit.system}\n\n{NO_TOOLS}".lstrip()
        fit = replace(fit, tools=(), system=system)
    if any(isinstance(said, ToolMessage) for said in fit.messages):
        fit = replace(fit, messages=context.for_request(without_tools(fit.messages)))
    return fit


def window_as_asked(window: int, request: ModelRequest, profile: Profile, ratio: float) -> int:
    """The window this request may be taken for where the profile is sent less than all of it.

    `ratio` is how many tokens its model counts where we guess one.
    """
    unsent = 0 if profile.tools else request.tool_guess
    if profile.identity:
        unsent += max(size.of_text(request.system) - profile.identity, 0)
    if not (window and unsent):
        return window
    room = shrinking.room(window, request.max_tokens)
    return shrinking.window_for(room + round(unsent * ratio), request.max_tokens)


def without_tools(messages: Messages) -> Messages:
    """The same conversation with calls and results as text."""
    return tuple(_told(messages))


def _told(messages: Messages) -> Iterator[Message]:
    for said in messages:
        match said:
            case AssistantMessage(text, calls) if calls:
                called = (f"[called {call.name} with {call.arguments}]" for call in calls)
                yield replace(said, text="\n".join((text, *called)).strip(), tool_calls=())
            case ToolMessage(_, name, text, is_error):
                word = "failed" if is_error else "said"
                shown = text if len(text) <= MAX_RESULT_CHARS else text[:MAX_RESULT_CHARS] + " …"
                yield UserMessage((Text(f"[{name} {word}: {shown}]"),))
            case _:
                yield said


def _holds_image(message: Message) -> bool:
    return isinstance(message, UserMessage) and any(isinstance(p, Image) for p in message.parts)


def _blind(message: Message) -> Message:
    if not isinstance(message, UserMessage):
        return message
    parts: tuple[Part, ...] = tuple(
        Text(NO_IMAGE) if isinstance(part, Image) else part for part in message.parts
    )
    return UserMessage(parts)
