"""The wire as values: JSON-RPC messages and the shapes of every method, without sockets."""
