"""Attacks on the network surface, over real sockets."""
