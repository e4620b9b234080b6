"""Use cases of conversations: asking, reading, changing; surfaces convert shapes around them."""
