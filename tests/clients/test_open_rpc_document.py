"""What `rpc.discover` answers is an OpenRPC document by its makers' own schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.running import HANGS_S, Gateway, script

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway and Node are started


def test_the_document_is_valid(gateway: Gateway, tmp_path: Path) -> None:
    """The schemas in it compile, and each method's example fits them."""
    file = tmp_path / "openrpc.json"
    document = gateway.call("rpc.discover")
    file.write_text(json.dumps(document), "utf-8")
    seen = script("open_rpc_document.mjs", str(file))
    assert seen["problems"] == []
    assert seen["broken"] == []
    assert seen["methods"] == len(document["methods"]) > 10
    assert seen["noticed"] > 0, "the check itself notices nothing"


def test_required_parameters_come_first(gateway: Gateway) -> None:
    """The order of the document is the order of positional parameters."""
    for method in gateway.call("rpc.discover")["methods"]:
        required = [param.get("required", False) for param in method["params"]]
        assert required == sorted(required, reverse=True), method["name"]
