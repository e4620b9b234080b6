"""Clients that other people wrote work unchanged: each drives a gateway started as a user does."""
