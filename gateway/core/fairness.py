"""Fair order and fair shares among parties that compete for one thing. Pure, and without a clock.

`FairQueue` decides the order in which waiting items are served: nested round robin, which is fair
queueing with items of one size. `Shares` decides how much one holder may take: as much as it leaves
free. One holder alone gets half, two get a third each, and there is always room for the next one.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items under paths such as (principal, agent); at each level the names take turns.

    An item waits for at most one item of every other name at its level, however many those have
    queued. A name without items is forgotten: round robin owes nothing to the absent.
    """

    __slots__ = ("_below", "_count", "_items")

    def __init__(self) -> None:
        self._below: OrderedDict[str, FairQueue[T]] = OrderedDict()
        self._items: deque[T] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def push(self, item: T, path: tuple[str, ...]) -> None:
        """Queue an item behind those of the same path."""
        self._count += 1
        if not path:
            self._items.append(item)
            return
        below = self._below.get(path[0])
        if below is None:
            below = self._below[path[0]] = FairQueue()
        below.push(item, path[1:])

    def pop(self, fits: Callable[[T], bool] = lambda item: True) -> T | None:
        """Take out the next item that fits; None when none does. Items of a path go before those
        of longer ones that begin with it.

        Of one path only the first item is tried, so that what is behind it does not overtake.
        """
        if self._items and fits(self._items[0]):
            self._count -= 1
            return self._items.popleft()
        for name, below in self._below.items():
            item = below.pop(fits)
            if item is not None:
                self._count -= 1
                if below:
                    self._below.move_to_end(name)
                else:
                    del self._below[name]
                return item  # the dictionary changed: the loop must not go on
        return None

    def remove(self, item: T, path: tuple[str, ...]) -> None:
        """Take out an item that stopped waiting; raises `ValueError` or `KeyError` without one."""
        if not path:
            self._items.remove(item)
        else:
            below = self._below[path[0]]
            below.remove(item, path[1:])
            if not below:
                del self._below[path[0]]
        self._count -= 1


class Shares:
    """Amounts of one thing held by name, `total` in all.

    `admits` looks at what is held now, not at what is asked for: a large request is not starved by
    small ones, and the total is passed by one request at most.
    """

    __slots__ = ("_held", "total", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._held: Counter[str] = Counter()

    def __getitem__(self, name: str) -> int:
        return self._held[name]

    def admits(self, name: str) -> bool:
        """Whether this holder may take more: there is room, and it leaves as much as it holds."""
        free = self.total - self.used
        return free > 0 and self._held[name] < max(free, 1)

    def add(self, name: str, amount: int) -> None:
        """Note that a holder took this much, whatever the bounds say; negative: gave it back."""
        self.used += amount
        self._held[name] += amount
        if not self._held[name]:
            del self._held[name]
