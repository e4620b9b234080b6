"""JSON-RPC methods: one catalogue, thin callers of what lies below."""
