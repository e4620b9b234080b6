"""Runs llama.cpp's server: `python xllamacpp_server.py MODEL.gguf TOKENS`, two answers at once."""

import sys
import threading

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_parallel = 2
params.n_ctx = int(sys.argv[2]) * params.n_parallel
params.cpuparams.n_threads = 1
params.cpuparams.poll = 0  # threads that spin while they wait starve each other on a busy core
params.hostnames = ["127.0.0.1"]
params.port = 0
params.endpoint_props = True
params.fit_params = False  # the window is asked for as it is wanted
server = xllamacpp.Server(params)
threading.Event().wait()
