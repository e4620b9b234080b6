"""Unit tests of gateway.delivery, one file a module."""
