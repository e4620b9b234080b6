"""One body of tests for each seam, run against every implementation of it."""
