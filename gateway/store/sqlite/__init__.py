"""The contract on one SQLite file, or in memory."""
