"""Composition: a gateway built from settings, started, stopped in order, put behind a port."""
