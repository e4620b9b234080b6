"""Mirror of `benchmarks`, its pure parts."""
