"""Pages as people see them: a real gateway, and Debian's chromium."""
