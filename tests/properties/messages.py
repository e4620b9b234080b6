"""Messages made up: anything, requests with anything in them, calls that are nearly right.

And what any answer to one must look like.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import strategies as st

from gateway.rpc.catalog import METHODS

TURN = "t_2"
SESSION = "agent:main:websocket:direct:alice%2Fws-client"

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
names = st.sampled_from([method.name for method in METHODS]) | st.text(max_size=12)
requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | scalars,
        "method": names | scalars,
        "params": values,
        "id": scalars,
        "result": values,
        "error": values,
        "more": values,
    },
)
frames = (
    st.binary(max_size=200)
    | st.text(max_size=200)
    | values.map(json.dumps)
    | requests.map(json.dumps)
    | st.lists(requests | values, max_size=6).map(json.dumps)
)

# Values that reach further into the handlers than anything random does.
known = st.sampled_from(
    [
        *(TURN, SESSION, "main", "websocket", "alice", "d_9", "turn.", "turn.completed", "", "x"),
        *(0, 1, -1, 100, 2**62, True, None, [], {}, ["turn."], {"kinds": ["turn."]}),
        *("channel", "peer_id", "discord", "a:b", "WzFd", "%", "\x00", "../..", "dead"),
        *([{"type": "text", "text": "hi"}], {"channel": "x", "peer": "y"}, {"name": "n"}),
    ]
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, Any]:
    """A method with parameters of its own names, some of them right."""
    method = draw(st.sampled_from(METHODS))
    fields = list(method.params.model_fields)
    if draw(st.integers(0, 5)) == 0:
        return method.name, draw(st.lists(known | values, max_size=len(fields) + 1))
    required = [name for name in fields if method.params.model_fields[name].is_required()]
    chosen = draw(st.sets(st.sampled_from(fields))) if fields else set()
    params = {name: draw(known | values) for name in {*required, *chosen}}
    if draw(st.integers(0, 9)) == 0:
        params[draw(st.text(max_size=8))] = draw(values)
    return method.name, params


def check(answer: Any) -> None:
    """Whether it is an answer by the specification, and none that tells of a bug."""
    assert isinstance(answer, dict)
    assert answer["jsonrpc"] == "2.0"
    assert "id" in answer
    assert ("result" in answer) != ("error" in answer)
    assert set(answer) <= {"jsonrpc", "id", "result", "error"}
    if "error" in answer:
        error = answer["error"]
        assert set(error) == {"code", "message", "data"}
        assert isinstance(error["code"], int)
        assert isinstance(error["message"], str)
        assert isinstance(error["data"]["kind"], str)
        assert isinstance(error["data"]["retryable"], bool)
        assert error["data"]["kind"] != "internal", error


def check_frame(frame: bytes | None) -> None:
    """Whether a frame is an answer, or answers."""
    if frame is None:
        return
    answer = orjson.loads(frame)
    if isinstance(answer, list):
        assert answer
        for member in answer:
            check(member)
    else:
        check(answer)
