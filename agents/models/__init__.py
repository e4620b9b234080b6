"""Things that answer: a scripted double and clients of real model servers."""
