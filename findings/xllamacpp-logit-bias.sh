#!/usr/bin/env bash
# xllamacpp 2026.10.11549: biasing tokens for all requests of a server.
#
# Expected: `CommonParams().sampling.logit_bias` is a list to which an `LlamaLogitBias` is added, as in
# llama.cpp's own `common_params`.
# Seen: the class is exported and cannot be constructed, so the list stays empty. The member `logit_bias`
# of a single request is the only way.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check --no-deps \
  xllamacpp==2026.10.11549 cmeel-libomp==21.1.8
# For systems without GNU's OpenMP library: a file of that name is searched for, and found here.
libraries=$(dirname "$(find "$folder/venv" -name 'libgomp.so.1' | head -1)")
LD_LIBRARY_PATH=$libraries "$folder/venv/bin/python" - <<'PY'
import xllamacpp

parameters = xllamacpp.CommonParams()
print("logit_bias at first:", parameters.sampling.logit_bias)
try:
    xllamacpp.LlamaLogitBias()
except Exception as error:
    print(f"LlamaLogitBias(): {type(error).__name__}: {error}")
    raise SystemExit(0 if "construct" in str(error) else "the behaviour has changed")
raise SystemExit("the behaviour has changed: it can be constructed")
PY
