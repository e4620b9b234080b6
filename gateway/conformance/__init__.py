"""Checks that a server speaks this protocol: any server, from outside, as a stranger would."""
