"""Every bound of the network surface in one place, each with its reason.

All are constructor parameters, so tests use small ones; what depends on how large a deployment is
has a setting.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB

MAX_FRAME_BYTES = 4 * MIB
"""Largest frame a setting may allow: a frame is parsed in one go while everybody else waits."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a peer may take, in seconds."""

    head_s: float = 10.0
    """Request head and WebSocket handshake; a phone on a bad line needs two or three."""
    body_s: float = 30.0
    """A whole request body: 1 MiB at 300 kbit/s."""
    keep_alive_s: float = 15.0
    """An HTTP connection without a request; reconnecting is cheap."""
    auth_s: float = 10.0
    """From the handshake to the first authenticated message; people do not type tokens here."""
    progress_s: float = 10.0
    """Without one byte taken by the peer while bytes wait for it."""
    ping_s: float = 20.0
    """Between two pings, and again until a silent peer is given up: below the 60 s after which
    proxies and routers forget an idle connection."""
    close_s: float = 5.0
    """For the peer's half of a closing handshake."""
    linger_s: float = 1.0
    """Between our last byte and the end of the socket, so that a peer that is still sending reads
    why it was refused instead of a reset."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much a peer may send, and how much may wait for it."""

    stranger_frame: int = 64 * KIB
    """Message before authentication: `connect` needs one, and costs little to throw away."""
    stranger_queue: int = 512 * KIB
    """Waiting for a client before authentication: the largest answer there is for it, twice."""
    frame: int = 1 * MIB
    """Message and request body after authentication, pieces put together."""
    fragments: int = 1024
    """Pieces of one message: 1 MiB in pieces of 1 KiB. Without it, empty pieces never end."""
    stranger_frames: int = 64
    """Frames of any kind before authentication; a client needs two."""
    head: int = 16 * KIB
    """Request head; browsers with many cookies send 8 KiB."""
    inbox_frames: int = 1024
    """Messages read and not yet looked at. Looking is quick, so this is reached in a flood only;
    then the socket rests until they are looked at."""
    queue_frames: int = 256
    """Messages waiting for a slow client, and as many more whose senders wait for room."""
    queue_bytes: int = 4 * MIB
    """Their bytes, and as many more whose senders wait for room."""
    waiting: int = 128 * MIB
    """Bytes that wait for all clients together (`TURNGATE_CLIENT_MEMORY`): what a small machine can
    spare."""

    @property
    def waiting_per_principal(self) -> int:
        """The same for all clients of one credential: by default two that are as slow as one may
        be. The client for which most waits is closed, and resumes by sequence number."""
        return self.waiting // 8

    def __post_init__(self) -> None:
        if not self.stranger_frame <= self.frame <= MAX_FRAME_BYTES:
            raise ValueError(
                f"a frame has {self.stranger_frame} to {MAX_FRAME_BYTES} bytes, got {self.frame}"
            )


@dataclass(frozen=True, slots=True)
class Limits:
    """How many sockets at once."""

    connections: int = 1024
    """In all (`TURNGATE_CONNECTIONS`). Each costs up to 40 KiB when idle; what waits for slow
    clients is bounded apart."""
    per_address: int = 512
    """From one address; an office shares one. Configured proxies are exempt."""
    strangers: int = 256
    """Not yet authenticated. At the bound the oldest makes room, so that half-open connections
    never keep a client out that authenticates at once."""
    per_principal: int = 256
    """Connections of one credential, over HTTP and WebSocket alike: half of an address, so that one
    credential that holds all of its own leaves room for others."""
    kept: int = 16
    """Places past `connections` and `per_address` in which newcomers authenticate and operators
    stay: whatever others hold, several operators with several tools get in."""

    @classmethod
    def of(cls, connections: int) -> Limits:
        """So many in all, and the others in proportion."""
        return cls(connections, connections // 2, connections // 4, connections // 4)


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of it."""

    deadlines: Deadlines = field(default_factory=Deadlines)
    sizes: Sizes = field(default_factory=Sizes)
    limits: Limits = field(default_factory=Limits)
