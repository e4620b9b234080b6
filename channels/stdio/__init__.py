"""The terminal and the pipe as a channel: a line in, a message out."""
