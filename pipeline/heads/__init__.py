"""Heads: the contract (`base`), the networks, and a trained head on the disk (`saved`)."""
