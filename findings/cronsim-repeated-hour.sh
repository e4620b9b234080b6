#!/usr/bin/env bash
# cronsim 2.7: the hour that a clock change repeats.
#
# Expected: the next time is after the start; `30 * * * *` and `30 0-23 * * *` mean the same.
# Seen: from 02:10 in the second pass of the repeated hour, `30 2 * * *` gives 02:30 of the first pass,
# which is 40 minutes in the past. An hour field of `*` fires in both passes, the same hours written as
# a range fire once.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cronsim==2.7 tzdata==2025.2
cat > "$folder/run.py" <<'PY'
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

BERLIN = ZoneInfo("Europe/Berlin")  # 2026-10-25: 03:00 +02:00 becomes 02:00 +01:00


def following(expression, start, count):
    times = CronSim(expression, start)
    return [next(times) for _ in range(count)]


second_pass = datetime(2026, 10, 25, 2, 10, tzinfo=BERLIN, fold=1)
(first,) = following("30 2 * * *", second_pass, 1)
late_s = second_pass.timestamp() - first.timestamp()
print(f"start {second_pass.isoformat()}: 30 2 * * * gives {first.isoformat()}, {late_s:g} s before it")

before = datetime(2026, 10, 25, 1, 45, tzinfo=BERLIN)
star = [t.isoformat() for t in following("30 * * * *", before, 3)]
written = [t.isoformat() for t in following("30 0-23 * * *", before, 3)]
print("30 * * * *    ", star)
print("30 0-23 * * * ", written)
day = "2026-10-25T"
same = (
    late_s == 2400
    and star == [f"{day}02:30:00+02:00", f"{day}02:30:00+01:00", f"{day}03:30:00+01:00"]
    and written == [f"{day}02:30:00+02:00", f"{day}03:30:00+01:00", f"{day}04:30:00+01:00"]
)
raise SystemExit(0 if same else "the behaviour has changed")
PY
"$folder/venv/bin/python" "$folder/run.py"
