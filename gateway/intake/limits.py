"""What a message may be: the pure rules that are checked before anything else happens to it.

Raises `InvalidInput` naming the member and the bound. Called by intake.
"""

from __future__ import annotations

from dataclasses import fields

import orjson

from channels.base.messages import Inbound
from gateway.core import parts
from gateway.core.errors import InvalidInput
from gateway.core.keys import MAX_KEY_CHARS, SessionKey

MAX_MESSAGE_BYTES = (1 << 20) - (16 << 10)
"""Largest message as it is read back, in JSON and with its words as `text` beside its parts: with
what stands around them the frame of 1 MiB that every client takes, and pages are made of."""
MAX_ID_CHARS = 512
"""Longest id a channel or a sender may give."""


def check(message: Inbound) -> None:
    """Whether the message can be kept at all."""
    if not message.parts:
        raise InvalidInput("a message needs at least one part; send text or an attachment")
    said = parts.to_json(message.parts)
    for text in (text for part in said for text in part.values()):
        _check_unicode("the message", text)
    size = len(orjson.dumps([said, parts.text_of(message.parts)]))
    if size > MAX_MESSAGE_BYTES:
        raise InvalidInput(
            f"a message has at most {MAX_MESSAGE_BYTES} bytes as it is read back, in JSON and its "
            f"words twice; this one has {size}: send it in several"
        )
    if message.ttl_ms is not None and message.ttl_ms <= 0:
        raise InvalidInput(f"ttl_ms must be above 0, got {message.ttl_ms}")
    for name in ("external_id", "idempotency_key", "principal", "agent"):
        value: str = getattr(message, name) or ""
        if len(value) > MAX_ID_CHARS:
            raise InvalidInput(f"{name} has at most {MAX_ID_CHARS} characters, got {len(value)}")
        _check_unicode(name, value)
    for field in fields(message.route):
        _check_unicode(f"route.{field.name}", getattr(message.route, field.name))
    # What is stored under a key is found again by parsing it. A destination is part of its route.
    _check_key("the route", str(message.route))


def check_session(session: SessionKey) -> None:
    """Whether the conversation's name can be read back."""
    _check_key("the session key", str(session))


def _check_key(name: str, text: str) -> None:
    if len(text) > MAX_KEY_CHARS:
        raise InvalidInput(
            f"{name} has at most {MAX_KEY_CHARS} characters in its text form, got {len(text)}; "
            "use shorter ids"
        )


def _check_unicode(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{name} holds a lone surrogate, which is no Unicode text") from None
