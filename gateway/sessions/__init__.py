"""Conversations: what was said, kept in memory while one is active."""
