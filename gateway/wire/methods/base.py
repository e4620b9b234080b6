"""What the parameters and results of all methods have in common.

Parameters are checked strictly: nothing is converted, nothing unknown is ignored. Fields without a
default come first, so that positional parameters follow the documented order.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gateway.core.errors import InvalidInput

MAX_PAGE = 100
"""Maximum number of entries of a list in one answer."""

Name = Annotated[str, Field(min_length=1, max_length=512)]
"""An id of an object, given by a client or made here."""
Key = Annotated[str, Field(min_length=1, max_length=2048)]
"""A session key in its text form."""
Limit = Annotated[
    int, Field(ge=1, le=MAX_PAGE, description="Maximum number of entries in the answer.")
]
Cursor = Annotated[
    str, Field(max_length=4096, description="`next_cursor` of the page before; empty: the first.")
]
Milliseconds = Annotated[int, Field(description="Milliseconds since the epoch.")]


class Shape(BaseModel):
    """Frozen, and closed to members it does not know."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        defer_build=True,  # a validator is made when it is first used: commands use few of them
    )


class Params(Shape):
    """What a method is called with."""

    model_config = ConfigDict(strict=True)

    @classmethod
    def named(cls, values: list[Any]) -> dict[str, Any]:
        """Positional parameters under their names; raises `InvalidInput` for too many."""
        names = list(cls.model_fields)
        if len(values) > len(names):
            raise InvalidInput(
                f"at most {len(names)} positional parameters "
                f"({', '.join(names) or 'there are none'}), got {len(values)}"
            )
        return dict(zip(names, values, strict=False))


class Row(Protocol):
    """A named tuple."""

    def _asdict(self) -> dict[str, Any]: ...


class Result(Shape):
    """What a method answers."""

    @classmethod
    def of(cls, row: Row, **more: Any) -> Self:
        """A row as it is shown: its members that this has too, and `more`, which wins."""
        shared = {name: value for name, value in row._asdict().items() if name in cls.model_fields}
        return cls.model_validate(shared | more)


T = TypeVar("T")


class Bare(RootModel[T], Generic[T]):
    """An answer that is not an object."""


class NoParams(Params):
    """A method that takes nothing."""


class Page(Params):
    """A list in pages."""

    limit: Limit = MAX_PAGE
    cursor: Cursor = ""


class PageResult(Result):
    """A page of a list."""

    next_cursor: str | None = Field(None, description="Where the next page begins; null: the end.")


class Done(Result):
    """It is done."""

    ok: bool = True
