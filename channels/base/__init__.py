"""The seam between the gateway and channels: messages in, deliveries out, declared capabilities."""
