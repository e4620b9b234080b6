"""Which agent answers a message, and in which conversation: pure decisions on declared rules."""
