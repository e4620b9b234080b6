"""Faults in a status code: what providers answer with when they refuse.

Those with a JSON body are the lines of `refusals.jsonl`, body and headers as providers send them;
here stand those whose body is something else, or holds a date.
"""

from __future__ import annotations

import json
from email.utils import formatdate
from importlib import resources
from typing import Any

from gateway.simulate.answers import HTML, JSON, Raw, refusal
from gateway.simulate.fault import Fault

BAD_GATEWAY = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


def _in_half_a_minute(now_ms: int) -> Raw:
    date = formatdate(now_ms // 1000 + 30, usegmt=True)
    return refusal(429, {"message": "later", "code": "rate_limit_exceeded"}, retry_after=date)


def _fault(line: str) -> Fault:
    row: dict[str, Any] = json.loads(line)
    body, headers = json.dumps(row["body"]).encode(), JSON | row.get("headers", {})
    answer = Raw((body,), row["status"], headers)
    return Fault(row["name"], row["leads_to"], row["shows"], answer, row.get("retry_after_ms"))


_LINES = (resources.files(__package__) / "refusals.jsonl").read_text("utf-8").splitlines()
REFUSAL = (
    *map(_fault, _LINES),
    Fault(
        "rate-limit-date",
        "rate",
        "429 with a Retry-After date half a minute ahead",
        _in_half_a_minute,
        retry_after_ms=30_000,
    ),
    Fault("rate-limit-empty", "rate", "429 without body or hint", Raw((), 429, {})),
    Fault(
        "redirect", "not_found", "307 to another path", Raw((), 307, {"location": "/v1/elsewhere"})
    ),
    Fault(
        "overflow-empty",
        "overflow",
        "400 without a body (Cerebras alone)",
        Raw((), 400, {}),
        host="api.cerebras.ai",
    ),
    Fault("server-empty", "server", "500 without a body", Raw((), 500, {})),
    Fault("bad-gateway", "server", "502 with a web page", Raw((BAD_GATEWAY,), 502, HTML)),
    Fault("gateway-timeout", "timeout", "504 with a web page", Raw((BAD_GATEWAY,), 504, HTML)),
    Fault(
        "error-endless",
        "bad_response",
        "500 with a body of 60 MB",
        Raw((b"x" * (1 << 20),) * 60, 500, JSON),
    ),
)
STATUS = tuple(fault for fault in REFUSAL if fault.leads_to != "overflow")
OVERFLOW = tuple(fault for fault in REFUSAL if fault.leads_to == "overflow")
