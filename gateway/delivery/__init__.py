"""Outbox to destination: cut, sent, retried, given up, in order and without silence."""
