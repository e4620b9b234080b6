"""Turns: lanes that keep conversations in order, and the durable task that answers."""
