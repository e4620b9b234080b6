"""Unit tests of gateway.intake, one file a module."""
