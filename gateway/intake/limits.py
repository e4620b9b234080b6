"""What a message may be: the pure rules that are checked before anything else happens to it.

Raises `InvalidInput` naming the member and the bound. Called by intake.
"""

from __future__ import annotations

from dataclasses import fields

from channels.base.messages import Inbound
from gateway.core import parts
from gateway.core.errors import InvalidInput
from gateway.core.keys import MAX_KEY_CHARS, SessionKey

MAX_MESSAGE_BYTES = 1 << 20
"""Largest message, all its parts together: the largest frame a client may send."""
MAX_ID_CHARS = 512
"""Longest id a channel or a sender may give."""


def check(message: Inbound) -> None:
    """Whether the message can be kept at all."""
    if not message.parts:
        raise InvalidInput("a message needs at least one part; send text or an attachment")
    said = [value for part in parts.to_json(message.parts) for value in part.values()]
    size = sum(_bytes("the message", value) for value in said)
    if size > MAX_MESSAGE_BYTES:
        raise InvalidInput(f"a message has at most {MAX_MESSAGE_BYTES} bytes, this one has {size}")
    if message.ttl_ms is not None and message.ttl_ms <= 0:
        raise InvalidInput(f"ttl_ms must be above 0, got {message.ttl_ms}")
    for name in ("external_id", "idempotency_key", "principal", "agent"):
        value: str = getattr(message, name) or ""
        if len(value) > MAX_ID_CHARS:
            raise InvalidInput(f"{name} has at most {MAX_ID_CHARS} characters, got {len(value)}")
        _bytes(name, value)
    for field in fields(message.route):
        _bytes(f"route.{field.name}", getattr(message.route, field.name))
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


def _bytes(name: str, value: str) -> int:
    """How long a text is in UTF-8."""
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"{name} holds a lone surrogate, which is no Unicode text") from None
