"""Credentials over RPC."""

from __future__ import annotations

import pytest

from tests.unit.gateway.rpc.talk import ADMIN, Refusal, World


async def test_nobody_ends_the_credential_he_comes_with(world: World) -> None:
    """The last operator would lock himself out, and hear that a connection broke."""
    admin = world.talk(ADMIN)
    for own in (ADMIN.name, ADMIN.credential_id):
        with pytest.raises(Refusal, match=r"conflict: .* start the gateway again"):
            await admin.call("tokens.revoke", name=own)
    assert (await admin.call("tokens.revoke", name="alice"))["revoked_at"]
