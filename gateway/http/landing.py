"""`/`: a page that says what runs here and how to talk to it. No script, nothing from elsewhere.

What a visitor types into its console may connect to this gateway only.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_STYLE = (
    ":root{color-scheme:light dark;--text:#1c2430;--soft:#56606d;--page:#fbfbf9;--box:#eef0f2;"
    "--line:#d5dae0;--link:#0b57c2}"
    "@media(prefers-color-scheme:dark){:root{--text:#dfe5ec;--soft:#9aa6b4;--page:#14181d;"
    "--box:#1f262e;--line:#323b46;--link:#8ab4f8}}"
    "body{font:1rem/1.55 system-ui,sans-serif;max-width:46rem;margin:0 auto;padding:3rem 1rem;"
    "color:var(--text);background:var(--page)}"
    "h1{font-size:1.7rem;margin:0 0 .3rem}h1 small{font-size:.9rem;font-weight:400;"
    "color:var(--soft)}h2{font-size:1.05rem;margin:2.2rem 0 .5rem}p{margin:.5rem 0}"
    "pre{background:var(--box);border:1px solid var(--line);border-radius:6px;padding:.8rem 1rem;"
    "overflow-x:auto;font-size:.86rem;line-height:1.45;margin:.5rem 0}"
    "code{font-family:ui-monospace,monospace}a{color:var(--link)}"
    "a:focus-visible,pre:focus-visible{outline:3px solid var(--link);outline-offset:2px}"
)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M3 3h10v3H9.5v8h-3V6H3z' fill='%232f7dd1'/%3E%3C/svg%3E"
)

_PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>turngate</title>
<link rel="icon" href="$icon">
<style>$style</style>
</head>
<body>
<main>
<h1>turngate <small>$version</small></h1>
<p>A gateway for LLM agents runs here. It speaks JSON-RPC 2.0 over WebSocket at
<code>$ws/ws</code> and over HTTP at <code>$http/rpc</code>. Every call needs a token: whoever
started the gateway has one, in the file it named, and makes others with
<code>turngate token create</code>. The examples take it from the variable
<code>TURNGATE_TOKEN</code>.</p>

<h2>A terminal</h2>
<pre tabindex="0"><code>turngate chat</code></pre>

<h2>wscat</h2>
<pre tabindex="0"><code>wscat -H "Authorization: Bearer $$TURNGATE_TOKEN" -c $ws/ws
&gt; {"jsonrpc":"2.0","id":1,"method":"send","params":{"text":"hello"}}</code></pre>

<h2>curl</h2>
<pre tabindex="0"><code>curl $http/rpc -H "Authorization: Bearer $$TURNGATE_TOKEN" \\
  -H 'Content-Type: application/json' \\
  -d '{"jsonrpc":"2.0","id":1,"method":"send","params":{"text":"hello"}}'</code></pre>

<h2>Python</h2>
<pre tabindex="0"><code>import json, os
from websockets.sync.client import connect

headers = {"Authorization": "Bearer " + os.environ["TURNGATE_TOKEN"]}
with connect("$ws/ws", additional_headers=headers) as ws:
    ws.send(json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "send", "params": {"text": "hello"}}))
    print(ws.recv())</code></pre>

<h2>This browser</h2>
<p>Open the console of this page (F12), paste this, and give the token when it is asked for. It is
changed into a ticket that works once, for no token belongs into an address.</p>
<pre tabindex="0"><code id="console">const { ticket } = await (await fetch("/ticket", {
  method: "POST", headers: { Authorization: "Bearer " + prompt("Token?") } })).json();
const here = location.origin.replace("http", "ws");
const socket = new WebSocket(here + "/ws?ticket=" + ticket);
const say = (id, method, params) =&gt;
  socket.send(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
socket.onmessage = ({ data }) =&gt; console.log(data);
socket.onopen = () =&gt; {
  say(1, "events.subscribe", {});
  say(2, "send", { text: "hello" });
};</code></pre>

<h2>Further</h2>
<p>The method <code>rpc.discover</code> describes every other method. For machines there are
<a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a> and <a href="/metrics">/metrics</a>.
</p>
</main>
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
            "img-src data:; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        }
        self._page = _PAGE.substitute(
            style=_STYLE,
            icon=_ICON,
            version=escape(version),
            http=escape(url),
            ws=escape(url.replace("http", "ws", 1)),
        ).encode()

    async def get(self, _request: Request) -> Response:
        """The same for everybody."""
        return HTMLResponse(self._page, headers=self._headers)
