"""Mirror of `gateway.telemetry`."""
