"""How good the local model's first answers are: fifty messages, five tries each, fixed rules."""
