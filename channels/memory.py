"""A channel without a wire: what is said goes to the intake, what is sent stays in a list.

It ships because tests and programs that embed the gateway need a channel they can see into and make
fail on purpose. It keeps everything it was ever sent, so it is not for long-running use. Waiting is
done on events, never on time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from channels.base.channel import Capabilities, Intake
from channels.base.messages import Accepted, Inbound, Outbound, Receipt
from gateway.core.errors import DeliveryPermanent, DeliveryTransient
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import DEFAULT_ACCOUNT, RouteKey
from gateway.core.parts import Parts, Text


@dataclass(slots=True, eq=False)
class Gate:
    """A send that stands still: `entered` is set when it does, `release` lets it go on."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self._released.set()

    async def passed(self) -> None:
        """Report the arrival and wait for the release."""
        self.entered.set()
        await self._released.wait()


@dataclass(frozen=True, slots=True)
class _Fault:
    """What happens to one send; `shown` is whether the receiver sees it before that."""

    shown: bool
    error: Exception | None = None
    gate: Gate | None = None


class MemoryChannel:
    """Both ends of a channel in one object.

    `sent` is what the receiver sees, in order; `attempts` is every call of `send`, refused ones and
    repeated keys included. With `capabilities.dedupes` a key is seen once.
    """

    def __init__(
        self,
        *,
        name: str = "memory",
        account: str = DEFAULT_ACCOUNT,
        capabilities: Capabilities | None = None,
        principal: str = "local",
    ) -> None:
        self.name = name
        self.account = account
        self.capabilities = capabilities or Capabilities()
        self.sent: list[Outbound] = []
        self.attempts: list[Outbound] = []
        self._principal = principal
        self._receipts: dict[str, Receipt] = {}
        self._faults: deque[_Fault] = deque()
        self._changed = asyncio.Event()
        self._seen = 0
        self._intake: Intake | None = None
        self._started = asyncio.Event()
        self._ended = asyncio.Event()
        # Accepts one message after the other: `asyncio.Lock` wakes its waiters in their order.
        self._saying = asyncio.Lock()
        self._closed = False

    async def run(self, intake: Intake) -> None:
        """Lend `intake` to `say` until `end`; what was said before that is accepted first."""
        self._intake = intake
        self._started.set()
        try:
            await self._ended.wait()
            async with self._saying:
                pass
        finally:
            self._intake = None

    async def send(self, message: Outbound) -> Receipt:
        """Show the message, unless a fault was ordered; cancelled at a gate, nothing changes."""
        if self._closed:
            raise DeliveryTransient(f"channel {self.name!r} is closed; nothing was shown")
        self.attempts.append(message)
        self._refuse_too_long(message)
        fault = self._faults.popleft() if self._faults else _Fault(shown=False)
        if fault.shown:
            self._show(message)
        if fault.gate is not None:
            await fault.gate.passed()
        if fault.error is not None:
            raise fault.error
        return self._receipts[message.key] if fault.shown else self._show(message)

    async def close(self) -> None:
        """End `run`; later sends are refused. What was sent stays readable."""
        self._closed = True
        self._ended.set()

    # --- the other end ---------------------------------------------------------------------------

    async def say(
        self,
        content: str | Parts,
        *,
        peer: str = "local",
        group: str = "",
        thread: str = "",
        external_id: str = "",
        agent: AgentId | None = None,
    ) -> Accepted:
        """Send a message in and return its acknowledgement; see `inject`."""
        return await self.inject(
            Inbound(
                route=RouteKey(self.name, self.account, group=group, thread=thread, peer=peer),
                parts=(Text(content),) if isinstance(content, str) else content,
                principal=self._principal,
                external_id=external_id,
                agent=agent,
            )
        )

    async def inject(self, message: Inbound) -> Accepted:
        """Hand a message to the intake, in the order of the calls; its refusal is raised here.

        Waits for `run` to begin. Raises `RuntimeError` when `run` has ended: there is no reader.
        """
        intake = await self._lent()
        async with self._saying:
            return await intake.accept(message)

    async def cancel(self, turn_id: TurnId) -> None:
        """Ask the intake to stop a turn."""
        await (await self._lent()).cancel(turn_id)

    def end(self) -> None:
        """Nothing more will be said: `run` returns."""
        self._ended.set()

    def fail_next(self, error: Exception, *, shown: bool = False) -> None:
        """Let the next send raise `error`, after showing the message if `shown`.

        Faults queue up: each is for one send.
        """
        self._faults.append(_Fault(shown, error=error))

    def block_next(self, *, shown: bool = False) -> Gate:
        """Let the next send stand still until its gate is released."""
        gate = Gate()
        self._faults.append(_Fault(shown, gate=gate))
        return gate

    async def next_sent(self) -> Outbound:
        """The oldest sent message this method has not returned yet."""
        self._seen += 1
        return (await self.wait_sent(self._seen))[-1]

    async def wait_sent(self, count: int) -> tuple[Outbound, ...]:
        """The first `count` sent messages, once there are so many."""
        while len(self.sent) < count:
            await self._changed.wait()
        return tuple(self.sent[:count])

    async def _lent(self) -> Intake:
        if not self._ended.is_set():
            await self._started.wait()
        if self._intake is None or self._ended.is_set():
            raise RuntimeError(f"channel {self.name!r} is not running: nobody reads what is said")
        return self._intake

    def _show(self, message: Outbound) -> Receipt:
        known = self._receipts.get(message.key)
        if known is not None and self.capabilities.dedupes:
            return known
        self.sent.append(message)
        self._receipts[message.key] = Receipt(external_id=f"{self.name}-{len(self.sent)}")
        self._changed.set()
        self._changed = asyncio.Event()
        return self._receipts[message.key]

    def _refuse_too_long(self, message: Outbound) -> None:
        limit, unit = self.capabilities.limit, self.capabilities.unit
        if limit is not None and (length := unit.length(message.text)) > limit:
            raise DeliveryPermanent(f"a message has at most {limit} {unit}, got {length}")
