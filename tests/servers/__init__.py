"""Conversations with real model servers, each installed into a folder of its own; `make slow`."""
