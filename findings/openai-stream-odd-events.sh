#!/usr/bin/env bash
# openai (Python SDK) 3.52.0: what the stream reader does with events that servers and proxies send.
#
# Expected: an `event: error` raises; an empty `data:` line is a keep-alive and passed over; the text of
# an error reaches the caller; an event at the very end of the body counts.
# Seen: an `event: error` whose data is no {"error": …} comes out as an ordinary chunk, and so does an
# empty error object; an empty `data:` ends the stream with a JSONDecodeError; the text of a string error
# is lost; the last event is dropped where no blank line follows it.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check openai==3.52.0
cat > "$folder/run.py" <<'PY'
import http.server
import threading

import openai


class Server(http.server.BaseHTTPRequestHandler):
    body = b""

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(
    base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="k", max_retries=0
)
FIRST = 'data: {"id":"a","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


def seen(events):
    Server.body = (FIRST + events).encode()
    chunks = []
    try:
        for chunk in client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        ):
            chunks.append(chunk.model_dump(exclude_unset=True))
    except Exception as error:
        return f"{len(chunks)} chunk, then {type(error).__name__}: {error}"
    return chunks[1:]


CASES = [
    ("event: error, flat object", 'event: error\ndata: {"message":"boom"}\n\n', [{"message": "boom"}]),
    ("empty error object", 'data: {"error":{}}\n\n', [{"error": {}}]),
    ("error as a string", 'data: {"error":"boom"}\n\n',
     "1 chunk, then APIError: An error occurred during streaming"),
    ("empty data line", "data:\n\n",
     "1 chunk, then JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    ("last event without a blank line", 'data: {"id":"b","choices":[]}', []),
]
changed = False
for name, events, expected in CASES:
    found = seen(events)
    print(f"{name}: {found}")
    changed |= found != expected
raise SystemExit("the behaviour has changed" if changed else 0)
PY
"$folder/venv/bin/python" "$folder/run.py"
