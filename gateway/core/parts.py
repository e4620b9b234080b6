"""What a message is made of: text, images, files.

Shapes are closed and frozen; `to_json` and `from_json` are the only code that knows
their wire form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_never

from gateway.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A picture by `url` (https or data)."""

    url: str
    media_type: str = "image/png"


@dataclass(frozen=True, slots=True)
class File:
    """A named attachment by `url` (https or data)."""

    name: str
    url: str
    media_type: str = "application/octet-stream"


Part = Text | Image | File
Parts = tuple[Part, ...]


def to_json(parts: Parts) -> list[dict[str, str]]:
    """The wire form: a list of objects told apart by `type`."""
    return [_part_to_json(part) for part in parts]


def _part_to_json(part: Part) -> dict[str, str]:
    match part:
        case Text(text):
            return {"type": "text", "text": text}
        case Image(url, media_type):
            return {"type": "image", "url": url, "media_type": media_type}
        case File(name, url, media_type):
            return {"type": "file", "name": name, "url": url, "media_type": media_type}
        case _:
            assert_never(part)


def from_json(value: object) -> Parts:
    """Read the wire form.

    Raises `InvalidInput` with the index and the member that is wrong.
    """
    if not isinstance(value, list):
        raise InvalidInput(f"parts must be a list of objects, got {type(value).__name__}")
    return tuple(_part_from_json(item, index) for index, item in enumerate(value))


def _part_from_json(item: Any, index: int) -> Part:
    if not isinstance(item, dict):
        raise InvalidInput(f"parts[{index}] must be an object, got {type(item).__name__}")

    def member(name: str, default: str | None = None) -> str:
        value = item.get(name, default)
        if not isinstance(value, str):
            raise InvalidInput(f"parts[{index}].{name} must be a string, got {value!r}")
        return value

    match item.get("type"):
        case "text":
            return Text(member("text"))
        case "image":
            return Image(member("url"), member("media_type", "image/png"))
        case "file":
            media_type = member("media_type", "application/octet-stream")
            return File(member("name"), member("url"), media_type)
        case other:
            raise InvalidInput(f"parts[{index}].type must be text, image or file, got {other!r}")


def text_of(parts: Parts) -> str:
    """The words alone, attachments named in brackets so that nothing disappears silently."""
    lines: list[str] = []
    for part in parts:
        match part:
            case Text(text):
                lines.append(text)
            case Image():
                lines.append("[image]")
            case File(name):
                lines.append(f"[file {name}]")
    return "\n".join(lines)
