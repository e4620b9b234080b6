"""The seam between the gateway and agents: messages, effects, models, tools, definitions."""
