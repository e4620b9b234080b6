"""Settings: read once at start, validated together, frozen."""
