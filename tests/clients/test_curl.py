"""curl: one request, one answer; probes and refusals by their status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.clients.running import HANGS_S, Gateway, curl, posting
from tests.support.machine import needs

pytestmark = [pytest.mark.timeout(HANGS_S), needs("curl")]  # a gateway is started

STATUS = ("-o", "/dev/null", "-w", "%{http_code}")


def post(gateway: Gateway, message: Any) -> Any:
    return json.loads(curl(gateway, "/rpc", *posting(gateway, json.dumps(message))))


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def test_a_message_is_answered(gateway: Gateway) -> None:
    answer = post(gateway, request("send", text="good morning"))
    assert answer["id"] == 1
    assert answer["result"]["reply"] == "You said: good morning"


def test_a_batch_is_answered_in_order(gateway: Gateway) -> None:
    """What is wrong in it has an answer of its own."""
    answers = post(gateway, [request("status"), 1, {**request("rpc.discover"), "id": "x"}])
    assert [answer["id"] for answer in answers] == [1, None, "x"]
    assert answers[1]["error"]["code"] == -32600


def test_a_notification_has_no_answer(gateway: Gateway) -> None:
    body = json.dumps({"jsonrpc": "2.0", "method": "status"})
    assert curl(gateway, "/rpc", *STATUS, *posting(gateway, body)) == "204"


def test_what_is_no_json_is_told_so(gateway: Gateway) -> None:
    answer = json.loads(curl(gateway, "/rpc", *posting(gateway, "{")))
    assert answer == {"jsonrpc": "2.0", "id": None, "error": answer["error"]}
    assert answer["error"]["code"] == -32700


def test_the_same_key_is_the_same_turn(gateway: Gateway) -> None:
    """A script that is not sure sends again."""
    message = request("send", text="only once", idempotency_key="k1")
    first, second = post(gateway, message), post(gateway, message)
    assert first["result"]["turn_id"] == second["result"]["turn_id"]
    assert second["result"]["reply"] == "You said: only once"


@pytest.mark.parametrize(
    ("options", "status", "kind"),
    [
        (["-H", "Content-Type: application/json"], "401", "unauthenticated"),
        (
            ["-H", "Content-Type: application/json", "-H", "Authorization: Bearer x"],
            "401",
            "unauthenticated",
        ),
        ([], "415", "invalid"),
        (["-H", "Host: evil.example"], "421", "invalid"),
        (["-H", "Origin: https://evil.example"], "403", "forbidden"),
    ],
    ids=["no token", "wrong token", "no content type", "foreign host", "foreign origin"],
)
def test_refusals_have_a_status_and_a_kind(
    gateway: Gateway, options: list[str], status: str, kind: str
) -> None:
    """The body is the same as over a socket, so a script may look at either."""
    said = curl(gateway, "/rpc", *options, "-d", "{}", "-w", "\n%{http_code}")
    body, _, code = said.rpartition("\n")
    assert code == status
    assert json.loads(body)["error"]["data"]["kind"] == kind


@pytest.mark.parametrize(
    ("path", "body"), [("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready"})]
)
def test_probes_need_no_token(gateway: Gateway, path: str, body: dict[str, str]) -> None:
    assert json.loads(curl(gateway, path, "--fail")) == body


def test_metrics_need_one(gateway: Gateway) -> None:
    assert curl(gateway, "/metrics", *STATUS) == "401"
    page = curl(gateway, "/metrics", "--fail", "-H", f"Authorization: Bearer {gateway.token}")
    assert 'turngate_health{state="ready"} 1.0' in page.splitlines()


def test_a_token_in_an_address_is_refused(gateway: Gateway) -> None:
    """Addresses end up in logs and histories."""
    assert curl(gateway, f"/metrics?token={gateway.token}", *STATUS) == "400"
