"""`turngate doctor`: looks at all a gateway needs, and says what to do about what is wrong."""
