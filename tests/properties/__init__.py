"""Property and state-machine tests: codecs, run states, rendering."""
