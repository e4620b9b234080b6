"""Names that stand in the examples of the documentation; the test that runs them puts real ones in.

One example is one call of one imagined conversation, so the same names mean the same things.
"""

from __future__ import annotations

PRINCIPAL = "alice"
TOKEN = "tg_3f9d2c41b8e7460fa5d1c09e"
AGENT = "main"
TURN = "t_019bb1c5d7c0a1b2c3d4e5f60718"
QUEUED_TURN = "t_019bb1c5d7ffa1b2c3d4e5f60719"
RUNNING_TURN = "t_019bb1c5d8f0a1b2c3d4e5f6071e"
DELIVERY = "d_019bb1c5d80aa1b2c3d4e5f6071a"
DEAD_DELIVERY = "d_019bb1c5d80ba1b2c3d4e5f6071b"
RUN = "r_019bb1c5d80da1b2c3d4e5f60720"
PARKED_RUN = "r_019bb1c5d80da1b2c3d4e5f60721"
UNSURE_RUN = "r_019bb1c5d80da1b2c3d4e5f60722"
FAILED_RUN = "r_019bb1c5d80da1b2c3d4e5f60723"
SUBSCRIPTION = "s_019bb1c5d80ca1b2c3d4e5f6071c"
PEER = "p_019bb1c5d80da1b2c3d4e5f6071d"
SESSION = "agent:main:websocket:direct:alice%2Fnotes"
AT = 1_767_225_600_000
"""2026-01-01, midnight UTC."""
