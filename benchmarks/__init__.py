"""Measurements: each prints what it found beside what it is compared with, from one run."""
