"""From a model request to the JSON of a chat completion. Pure; called by the OpenAI client.

It repairs nothing: the turn hands over a history that any provider accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from typing import Any, assert_never

import orjson

from agents.base.messages import (
    AssistantMessage,
    Messages,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelRequest, ToolSpec
from agents.models import openai_beside
from gateway.core.parts import File, Image, Part, Text, text_of

NO_OUTPUT = "(no output)"
"""Stands for an empty tool result, which some servers refuse."""

ID_CHARS = 9
"""Length of the id of a call: Mistral takes no other, and only letters and digits."""
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID = re.compile(rf"[a-zA-Z0-9]{{{ID_CHARS}}}")


def to_json(
    request: ModelRequest, *, model: str, limit_field: str, profile: str = ""
) -> dict[str, Any]:
    """The body of a streamed chat completion.

    `limit_field` is what this server usually calls the bound of the output; the request may know
    better. What was sent beside earlier answers goes back to the model and profile it came from.
    """
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {
        "model": model,
        "messages": [*system, *_messages(request.messages, profile, model)],
        "stream": True,
    }
    if request.dialect.stream_options:
        body["stream_options"] = {"include_usage": True}
    if request.dialect.limit_name != "none":
        body[request.dialect.limit_name or limit_field] = request.max_tokens
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    if request.temperature is not None:
        body["temperature"] = request.temperature
    return body


def encoded(body: dict[str, Any]) -> bytes:
    """The body as JSON; half a surrogate pair, which no UTF-8 can carry, becomes a `?`."""
    try:
        return orjson.dumps(body)
    except TypeError:  # that, or a number of many digits in a schema
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def without_stream(body: dict[str, Any]) -> dict[str, Any]:
    """The same request for an answer in one piece."""
    streaming = ("stream", "stream_options")
    return {name: value for name, value in body.items() if name not in streaming}


def count_images(request: ModelRequest) -> int:
    """How many images are sent."""
    said = [message.parts for message in request.messages if type(message) is UserMessage]
    return list(map(type, chain.from_iterable(said))).count(Image)


@lru_cache(maxsize=4096)  # the calls of some conversations, each sent with every request
def wire_id(call_id: str) -> str:
    """An id that every known provider takes, the same for the same id in every request.

    There are 62 ** 9 of them: two ids of a conversation of 10 000 calls are told apart in all but
    one of 10 ** 8 such conversations.
    """
    if _ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(sha256(call_id.encode("utf-8", "surrogatepass")).digest()[:8])
    digits = []
    for _ in range(ID_CHARS):
        number, digit = divmod(number, len(_LETTERS))
        digits.append(_LETTERS[digit])
    return "".join(digits)


def _messages(messages: Messages, profile: str, model: str) -> Iterator[dict[str, Any]]:
    ids: dict[str, str] = {}
    for message in messages:
        # Nearly all messages of a long conversation are one of these two, and each is told each
        # time.
        if type(message) is AssistantMessage and not message.tool_calls and not message.opaque:
            yield {"role": "assistant", "content": message.text}
        elif (
            type(message) is UserMessage
            and len(message.parts) == 1
            and type(part := message.parts[0]) is Text
        ):
            yield {"role": "user", "content": part.text}
        elif isinstance(message, AssistantMessage):
            yield _answer(message, ids, profile, model)
        else:
            yield _rare_message(message, ids)


def _answer(
    message: AssistantMessage, ids: dict[str, str], profile: str, model: str
) -> dict[str, Any]:
    """An answer with what its server sent beside it; notes by which `ids` its calls go."""
    beside = openai_beside.read(message.opaque, profile=profile, model=model)
    if not message.tool_calls:
        return {"role": "assistant", "content": message.text} | beside
    calls = []
    for call in message.tool_calls:
        own = openai_beside.read(call.opaque, profile=profile, model=model)
        id_ = wire_id(call.id)
        if "id" in own and own["id"] not in ids.values():
            id_ = own["id"]
        ids[call.id] = id_
        calls.append(_call(call) | own | {"id": id_})
    # Beside calls, servers that refuse an empty text take none at all.
    said = {"role": "assistant", "content": message.text or None, "tool_calls": calls}
    return said | beside


def _rare_message(
    message: UserMessage | ToolMessage | SummaryMessage, ids: dict[str, str]
) -> dict[str, Any]:
    match message:
        case UserMessage(parts):
            if any(isinstance(part, Image) for part in parts):
                return {"role": "user", "content": [_part(part) for part in parts]}
            return {"role": "user", "content": text_of(parts)}
        case SummaryMessage(text):
            return {"role": "user", "content": text}
        case ToolMessage(call_id, _, text, is_error):
            content = f"Error: {text}" if is_error else text or NO_OUTPUT
            id_ = ids.get(call_id) or wire_id(call_id)
            return {"role": "tool", "tool_call_id": id_, "content": content}
        case _:
            assert_never(message)


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"type": "function", "function": function}


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Image(url):
            return {"type": "image_url", "image_url": {"url": url}}
        case Text() | File():
            return {"type": "text", "text": text_of((part,))}
        case _:
            assert_never(part)


@lru_cache(maxsize=256)  # the same few with each request
def _tool(tool: ToolSpec) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(tool.parameters),
    }
    return {"type": "function", "function": function}
