"""Where a principal may speak."""

from __future__ import annotations

import pytest

from gateway.conversations.addressing import CHANNEL, route_for
from gateway.core.errors import Forbidden
from gateway.core.keys import RouteKey
from tests.unit.gateway.rpc.talk import ALICE, OPERATOR


def test_a_peer_stands_behind_the_name_of_its_credential() -> None:
    """Whatever it is called."""
    assert route_for(ALICE, RouteKey(CHANNEL, peer="bob/x")).peer == "alice/bob/x"


@pytest.mark.parametrize(
    "route",
    [RouteKey("discord", peer="1"), RouteKey(CHANNEL, group="g"), RouteKey(CHANNEL, thread="t")],
)
def test_only_operators_speak_elsewhere(route: RouteKey) -> None:
    """On other channels, in groups and threads; where an operator says, it is."""
    with pytest.raises(Forbidden, match="operator"):
        route_for(ALICE, route)
    assert route_for(OPERATOR, route) is route
