"""The storage contract: units of typed writes, typed queries, commit-ordered events."""
