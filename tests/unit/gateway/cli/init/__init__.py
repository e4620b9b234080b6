"""The first workspace."""
