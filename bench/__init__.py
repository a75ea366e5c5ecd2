"""Benchmarks: each prints ratios against a named baseline that it measures in the same run."""
