"""Waiting at a gate: the asyncio shell around the decisions of `Gate`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.runs.gate import Claim, Gate, GateRules


class Places:
    """The places of one gate. Every change of who holds or waits serves those who may go on."""

    def __init__(self, rules: GateRules) -> None:
        self.gate = Gate(rules)
        self._calls: dict[Claim, asyncio.Future[bool]] = {}

    async def take(self, claim: Claim) -> bool:
        """Wait for a place; does not yield to the loop when there is one. False: withdrawn.

        Cancelled: no place is held, and none is waited for.
        """
        if self._came(claim):
            return True
        called: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._calls[claim] = called
        try:
            return await called
        except asyncio.CancelledError:
            if claim.held:  # its turn came in the same pass of the loop
                self.give(claim)
            else:
                self.withdraw(claim)
            raise
        finally:
            self._calls.pop(claim, None)

    def give(self, claim: Claim) -> None:
        """Give a held place back."""
        self.gate.leave(claim)
        self._admit()

    def weigh(self, claim: Claim, amount: int) -> None:
        """Correct what a holder uses."""
        self.gate.weigh(claim, amount)
        self._admit()

    def withdraw(self, claim: Claim) -> None:
        """End the wait of a claim, whose `take` returns False; nothing, when it does not wait."""
        called = self._calls.pop(claim, None)
        if called is None or claim.held:
            return
        self.gate.withdraw(claim)
        if not called.done():
            called.set_result(False)
        self._admit()

    @asynccontextmanager
    async def hold(self, claim: Claim) -> AsyncIterator[None]:
        """Hold a place for the block, however long that has to be waited for."""
        held = await self.take(claim)
        try:
            yield
        finally:
            if held:
                self.give(claim)

    def _came(self, claim: Claim) -> bool:
        """Queue a claim; whether its turn is now."""
        if self.gate.enter(claim):
            return True
        self.gate.come(claim)
        self._admit()
        return claim.held

    def _admit(self) -> None:
        for claim in self.gate.admit():
            called = self._calls.pop(claim, None)
            if called is not None and not called.done():
                called.set_result(True)
