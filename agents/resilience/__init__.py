"""What keeps turns going when model servers do not: keys, cooldowns, fallbacks, shrinking."""
