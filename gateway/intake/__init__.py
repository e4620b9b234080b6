"""The one way in: every message becomes durable here, or is refused with a reason."""
