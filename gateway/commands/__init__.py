"""Slash commands: one catalogue for every channel, thin callers of the use cases below."""
