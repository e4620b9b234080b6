"""One test module for each source module, at the mirrored path."""
