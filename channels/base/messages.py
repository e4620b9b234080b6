"""What crosses the seam: inbound messages and outbound deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.ids import AgentId, DeliveryId, TurnId
from gateway.core.keys import Destination, RouteKey, SessionKey
from gateway.core.parts import Parts


class SourceClass(StrEnum):
    """Who is waiting for the answer; people come first when turns are scarce."""

    PERSON = "person"
    NETWORK = "network"
    CRON = "cron"
    HEARTBEAT = "heartbeat"


TALKING = frozenset({"read", "chat"})
"""What a person on a channel may do who has no credential of their own."""


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message on its way in.

    `external_id` is the channel's own id of it: the same (channel, account, external id) is
    accepted once. `idempotency_key` is the sender's: the same key with the same body yields the
    same turn for 24 h. `principal` is whose credential it came with, `scopes` what that allows: the
    names of what slash commands ask for. `agent` overrides the route.
    """

    route: RouteKey
    parts: Parts
    principal: str
    external_id: str = ""
    idempotency_key: str = ""
    agent: AgentId | None = None
    source: SourceClass = SourceClass.PERSON
    ttl_ms: int | None = None
    scopes: frozenset[str] = TALKING


@dataclass(frozen=True, slots=True)
class Accepted:
    """The acknowledgement: the input is durable.

    `position` counts what waits before it in its session, 0 when it is next. `duplicate` is true
    when the same message had been accepted earlier; `turn_id` is then the earlier one's.
    """

    turn_id: TurnId
    session: SessionKey
    agent: AgentId
    position: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Outbound:
    """One message on its way out.

    `key` is the same for every attempt: a receiver that remembers keys shows it once. `text` fits
    the channel's limit; `part` of `parts` tells the pieces of one answer apart.
    """

    delivery_id: DeliveryId
    key: str
    destination: Destination
    text: str
    turn_id: TurnId
    attempt: int
    part: int = 1
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Receipt:
    """The destination has it; `external_id` is its own name for the message, if it has one."""

    external_id: str = ""


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """How a turn ended.

    `kind` is a failure's stable word; `answered_by` the turn it was merged into, or itself.
    """

    turn_id: TurnId
    state: str
    kind: str
    answered_by: TurnId
