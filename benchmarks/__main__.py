"""`python -m benchmarks [name ...] [--json]`: all of them without a name, but for `rivals`.

Adding one: a module with `measure`, a line in `BENCHMARKS`.
"""

from __future__ import annotations

import argparse
import functools
import json

from benchmarks import (
    crowd,
    failover,
    overload,
    postgres,
    runs,
    store,
    surface,
    turns,
    upstream,
    whole,
)
from benchmarks.first_words import asking
from benchmarks.rivals import comparing
from benchmarks.tables import Aim, Benchmark, Table, against, machine, say

BENCHMARKS: dict[str, Benchmark] = {
    "store": store.measure,
    "postgres": postgres.measure,
    "runs": runs.measure,
    "turns": turns.measure,
    "surface": surface.measure,
    "upstream": upstream.measure,
    "whole": whole.measure,
    "overload": overload.measure,
    "crowd": crowd.measure,
    "failover": failover.measure,
    "first_words": asking.measure,
}

RIVALS = "rivals"
"""Only by its name: it installs other programs from their registries, and takes eight minutes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    known = (*BENCHMARKS, RIVALS)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(known))
    parser.add_argument(
        "--only", default="", metavar="a,b", help="of rivals: turngate, nanobot ..."
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there is {', '.join(known)}")
    only = tuple(arguments.only.split(",")) if arguments.only else ()
    chosen = BENCHMARKS | {RIVALS: functools.partial(comparing.measure, only=only)}
    where = machine()
    found = {name: chosen[name](say) for name in arguments.names or BENCHMARKS}
    if arguments.json:
        figures = {name: [part.as_json() for part in parts] for name, parts in found.items()}
        print(json.dumps({"machine": where.as_json(), "benchmarks": figures}, indent=2))
        return
    parts = [part for parts in found.values() for part in parts]
    aims = [part for part in parts if isinstance(part, Aim)]
    tables = [where, *(part for part in parts if isinstance(part, Table))]
    print("\n\n".join(table.as_text() for table in (*tables, against(aims))))


if __name__ == "__main__":
    main()
