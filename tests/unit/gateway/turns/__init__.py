"""Unit tests of gateway.turns, one file a module."""
