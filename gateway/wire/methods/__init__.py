"""Parameters and results of every method, one file a namespace."""
