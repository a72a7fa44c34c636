"""Chance that is a function of names alone: the same draw in every run, batch and order."""

import hashlib
import json

_BITS = 63  # what every generator takes for a seed


def seed_of(*names: str | int) -> int:
    """Return a seed of some names, far from that of any others; from 0 to 2^63 - 1."""
    digest = hashlib.sha256(json.dumps(names).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _BITS)


def share_of(*names: str | int) -> float:
    """Return a number of some names, uniform in [0, 1)."""
    return (seed_of(*names) >> (_BITS - 53)) / (1 << 53)
