"""How people reach the gateway: one module or folder a channel."""

DISTRIBUTION = "turngate"
