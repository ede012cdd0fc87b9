"""The benchmarks work, and the cost of a chunk has not run away."""
