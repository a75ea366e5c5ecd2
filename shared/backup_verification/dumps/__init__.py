"""Dumps of single databases: what they are, whether they are whole, and what a restored one shows."""
