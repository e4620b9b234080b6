"""What agents can do, one tool a file, listed in `catalog`."""
