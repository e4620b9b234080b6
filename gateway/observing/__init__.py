"""What a running gateway does, for its metrics, and what is wrong with it, for its health."""
