"""Tests of the JSON-RPC layer."""
