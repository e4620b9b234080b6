"""How many processes share a store, by what they say of themselves. A guess: words may be lost."""

from __future__ import annotations

from gateway.core.clock import Clock
from gateway.store.base.shared import SharedStore

HERE = "here"
FORGOTTEN_S = 10.0
"""Who has said nothing for so long is gone: five times as long as the pause between two words."""
MAX_OTHERS = 100
"""Most others that are counted."""


class Company:
    """This process and the others."""

    def __init__(self, store: SharedStore, clock: Clock, name: str) -> None:
        self._store = store
        self._clock = clock
        self._name = name
        self._heard: dict[str, float] = {}
        store.hear(HERE, self._note)

    def greet(self) -> int:
        """Say that this process is here; returns how many there are, itself included."""
        self._store.say(HERE, self._name)
        now = self._clock.monotonic()
        self._heard = {name: at for name, at in self._heard.items() if now - at < FORGOTTEN_S}
        return 1 + len(self._heard)

    def _note(self, name: str) -> None:
        if name in self._heard or len(self._heard) < MAX_OTHERS:
            self._heard[name] = self._clock.monotonic()
