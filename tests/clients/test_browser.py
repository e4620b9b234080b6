"""A page in a browser: tickets and origins. No browser runs here, Node stands in for one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.running import HANGS_S, gateway_in, script

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started

PAGE = "https://console.example"
STRANGER = "https://evil.example"
REFUSED = 1006
"""All a page learns of a refused handshake."""


def test_tickets_and_origins(tmp_path: Path) -> None:
    """A ticket works once and from its page; a page that is not allowed gets nowhere."""
    with gateway_in(tmp_path, TURNGATE_ALLOWED_ORIGINS=PAGE) as gateway:
        seen = script("browser.mjs", gateway.url, gateway.token, PAGE, STRANGER)
    assert seen == {
        "first": "operator",
        "again": REFUSED,
        "elsewhere": REFUSED,
        "program": "operator",
        "stranger": 403,
        "strange_page": REFUSED,
        "first_message": "operator",
        "in_address": REFUSED,
    }
