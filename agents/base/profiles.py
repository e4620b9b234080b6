"""What is known of keys and models beyond one process: the record, and the port that keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from gateway.core.errors import ModelAttempt


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a server has told of a model or shown by refusals; 0 where it never did.

    `window` and `output` are tokens: of prompt and answer together, and of any answer. `lacks` are
    members of a request it refused by name, sorted. `slots` is how many requests it works on at
    once. `at_ms` is when it was learnt, in wall milliseconds.
    """

    window: int = 0
    output: int = 0
    lacks: tuple[str, ...] = ()
    slots: int = 0
    at_ms: int = 0


NOTHING = Learnt()


@dataclass(frozen=True, slots=True)
class Told:
    """What a server says of one of its models when it is asked; None and 0 where it says nothing.

    `takes` holds members of a request, such as `tools`, and whether it takes them.
    """

    model: str
    window: int = 0
    slots: int = 0
    takes: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How one model does at one profile; times are wall milliseconds, 0 for never.

    `failures` counts since the last success, `category` is the last one's. It is not asked before
    `until_ms` while there is another. `probed_ms`: when it was last tried although it had failed.
    """

    failures: int = 0
    category: str = ""
    failed_ms: int = 0
    until_ms: int = 0
    probed_ms: int = 0
    ok_ms: int = 0
    learnt: Learnt = NOTHING


HEALTHY = Standing()


@dataclass(frozen=True, slots=True)
class Kept:
    """A standing as it is kept. It is void when the profile's `fingerprint` has changed; `model`
    is empty for what holds for every model of the key."""

    profile: str
    fingerprint: str
    model: str
    standing: Standing


class ProfileState(Protocol):
    """Keeps standings over restarts and between processes."""

    async def load(self) -> list[Kept]:
        """Everything that is kept."""
        ...

    def save(self, kept: Kept) -> None:
        """Keep this one; never blocks, and may be lost with the process."""
        ...


class Forgetful:
    """Keeps nothing: for gateways without a store, and tests."""

    async def load(self) -> list[Kept]:
        return []

    def save(self, kept: Kept) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class ModelAtProfile:
    """How one model does at one profile, for people. `state` is `ready` or `resting`; times are
    wall milliseconds, 0 for none; `category` is the last failure's since the last success. Numbers
    are tokens but `simultaneous`, which is requests; 0 where not known. `left_out` are members of a
    request that it is asked without."""

    model: str
    state: Literal["ready", "resting"]
    category: str
    failures: int
    until_ms: int
    ok_ms: int
    window: int
    output: int = 0
    tools: bool = True
    images: bool = True
    simultaneous: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileInfo:
    """A profile without its key."""

    name: str
    base_url: str
    models: tuple[ModelAtProfile, ...]


class LineUse(NamedTuple):
    """Requests to one profile: under way, at most (0: any number), and waiting for those."""

    profile: str
    active: int
    bound: int
    waiting: int


class Watch(Protocol):
    """Called with each request to a model once it has ended, or was cancelled as `unfinished`;
    tokens are 0 where it failed."""

    def __call__(self, attempt: ModelAttempt, input_tokens: int, output_tokens: int, /) -> None: ...


class Profiles(Protocol):
    """The profiles of a gateway, as operators see them; reading never waits."""

    def seen(self) -> tuple[ProfileInfo, ...]:
        """All of them in the order they are asked."""
        ...

    def lines(self) -> list[LineUse]:
        """The line in front of each profile that was asked."""
        ...

    def clear(self, profile: str = "") -> int:
        """End the pauses of one profile, or of all; returns how many records were forgotten."""
        ...

    def watch(self, watch: Watch) -> None:
        """Tell this one of every request from now on."""
        ...
