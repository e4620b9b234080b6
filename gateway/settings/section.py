"""What the sections of settings have in common: each is the settings of one subject.

The names are flat, as environment variables are: `Settings` inherits all sections, and a part that
needs one subject alone asks for its section.
"""

from __future__ import annotations

from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]


class Section(BaseModel):
    """The settings of one subject. Only `Settings`, which inherits all sections, is ever made."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        str_strip_whitespace=True,
        hide_input_in_errors=True,
        defer_build=True,
    )

    title: ClassVar[str] = ""
    """What the section is called where settings are shown."""

    def problems(self) -> dict[str, str]:
        """What only shows when settings are seen side by side, or in the middle of a text."""
        return {}


def is_address(url: str, *schemes: str) -> bool:
    """Or empty, which means none."""
    try:
        parts = urlsplit(url)
        return not url or (parts.scheme in schemes and bool(parts.hostname) and parts.port != 0)
    except ValueError:  # a port that is no number
        return False
