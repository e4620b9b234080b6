"""Unit tests of gateway.conformance: it passes what is right and notices what is not."""
