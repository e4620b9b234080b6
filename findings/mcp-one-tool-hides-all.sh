#!/usr/bin/env bash
# mcp (Python SDK) 2.3.0 as a client: a server with one malformed tool, and results that miss a member.
#
# Expected: a tool without `inputSchema` is left out of the list; a result without `content` is an empty
# one.
# Seen: both are a pydantic ValidationError, so one such tool takes all tools of the server away. Two tools
# of one name, and `isError` as the string "false", pass.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check mcp==2.3.0
cat > "$folder/server.py" <<'PY'
import json
import sys

tools, result = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    match asked["method"]:
        case "initialize":
            answer["result"] = {
                "protocolVersion": asked["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            }
        case "tools/list":
            answer["result"] = {"tools": tools}
        case "tools/call":
            answer["result"] = result
        case _:
            answer["error"] = {"code": -32601, "message": "no such method"}
    print(json.dumps(answer), flush=True)
PY
cat > "$folder/run.py" <<'PY'
import asyncio
import json
import sys

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

GOOD = {"name": "good", "inputSchema": {"type": "object"}}
HI = {"content": [{"type": "text", "text": "hi"}]}


async def tried(tools, result):
    server = StdioServerParameters(
        command=sys.executable, args=[sys.argv[1], json.dumps(tools), json.dumps(result)]
    )
    async with stdio_client(server) as pipes, ClientSession(*pipes) as session:
        await session.initialize()
        try:
            listed = [tool.name for tool in (await session.list_tools()).tools]
        except Exception as error:
            return f"list: {type(error).__name__}"
        try:
            return listed, (await session.call_tool("good", {})).is_error
        except Exception as error:
            return f"call: {type(error).__name__}"


CASES = [
    ("a second tool without inputSchema", [GOOD, {"name": "b"}], HI, "list: ValidationError"),
    ("a result without content", [GOOD], {}, "call: ValidationError"),
    ("two tools of one name", [GOOD, GOOD], HI, (["good", "good"], False)),
    ('isError: "false"', [GOOD], {"content": [], "isError": "false"}, (["good"], False)),
]


async def main():
    same = True
    for name, tools, result, expected in CASES:
        found = await tried(tools, result)
        print(f"{name}: {found}")
        same &= found == expected
    return same


raise SystemExit(0 if asyncio.run(asyncio.wait_for(main(), 120)) else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/run.py" "$folder/server.py"
