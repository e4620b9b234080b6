"""Any channel, any agent, every turn durable: the gateway itself."""

DISTRIBUTION = "turngate"
