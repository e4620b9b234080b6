"""Conversations: what was said, kept at hand while somebody is talking."""
