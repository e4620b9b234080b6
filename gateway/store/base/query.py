"""The shape of a read: typed parameters in, typed rows out."""

from __future__ import annotations

from typing import Generic, TypeVar

Row = TypeVar("Row")


class Query(Generic[Row]):
    """Base of every read. Its fields are the statement's parameters, in order.

    The statement has the class's name in snake case; its columns are the fields of `Row`, in order.
    """

    __slots__ = ()
