"""What the pages say is true: examples run, generated pages are fresh, nothing is left unsaid."""
