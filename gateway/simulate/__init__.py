"""The model simulator: an OpenAI-compatible server that answers by rules and fails on request."""
