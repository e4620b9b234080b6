"""`/`: a page that says what runs here and how to talk to it. No script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;"
    "color:#1c2430;background:#fbfbf9}"
    "h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.05rem;margin-top:2rem}"
    "pre{background:#eef0f2;padding:.8rem 1rem;overflow-x:auto;border-radius:6px;font-size:.86rem}"
    "code{font-family:ui-monospace,monospace}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#dfe5ec}"
    "pre{background:#1f262e}a{color:#8ab4f8}}"
)

_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>turngate</title>
<style>$style</style>
</head>
<body>
<h1>turngate</h1>
<p>A gateway for LLM agents runs here, version $version. It speaks JSON-RPC 2.0 over WebSocket at
<code>$ws/ws</code> and over HTTP at <code>$http/rpc</code>. Every call needs a token: whoever
started the gateway has one, and makes others with <code>turngate token create</code>. The examples
take it from the variable <code>TURNGATE_TOKEN</code>.</p>

<h2>A terminal</h2>
<pre><code>turngate chat</code></pre>

<h2>wscat</h2>
<pre><code>wscat -H "Authorization: Bearer $$TURNGATE_TOKEN" -c $ws/ws
&gt; {"jsonrpc":"2.0","id":1,"method":"send","params":{"text":"hello"}}</code></pre>

<h2>curl</h2>
<pre><code>curl $http/rpc -H "Authorization: Bearer $$TURNGATE_TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d '{"jsonrpc":"2.0","id":1,"method":"send","params":{"text":"hello"}}'</code></pre>

<h2>Python</h2>
<pre><code>import json, os
from websockets.sync.client import connect

token = os.environ["TURNGATE_TOKEN"]
with connect("$ws/ws", additional_headers={"Authorization": f"Bearer {token}"}) as ws:
    ws.send(json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "send", "params": {"text": "hello"}}))
    print(ws.recv())</code></pre>

<h2>Further</h2>
<p>The method <code>rpc.discover</code> describes every other method. For machines there are
<a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a> and <a href="/metrics">/metrics</a>.
</p>
</body>
</html>
"""
)


class LandingPage:
    """The page, made once: it shows nothing that changes and nothing that a visitor sent."""

    def __init__(self, url: str, version: str) -> None:
        digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
        self._headers = {
            "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        }
        self._page = _PAGE.substitute(
            style=_STYLE,
            version=escape(version),
            http=escape(url),
            ws=escape(url.replace("http", "ws", 1)),
        ).encode()

    async def get(self, _request: Request) -> Response:
        """The same for everybody."""
        return HTMLResponse(self._page, headers=self._headers)
