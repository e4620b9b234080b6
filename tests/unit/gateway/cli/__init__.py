"""The commands as a shell sees them: exit codes, stdout, stderr."""
