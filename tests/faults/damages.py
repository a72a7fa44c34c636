"""What can happen to the bytes of a file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Damage = Callable[[bytes, int, np.random.Generator], bytes]
EDGE = 512  # bytes at either end of a file, where headers and indices are


def flip(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    bit = 1 << int(generator.integers(8))
    return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


def zero(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = min(int(generator.integers(1, 64)), len(data) - place)
    return data[:place] + bytes(length) + data[place + length :]


def noise(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = min(int(generator.integers(1, 64)), len(data) - place)
    return data[:place] + generator.bytes(length) + data[place + length :]


def cut(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    del generator
    return data[:place]


def insert(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    return data[:place] + generator.bytes(int(generator.integers(1, 16))) + data[place:]


def repeat(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    length = int(generator.integers(1, 64))
    return data[: place + length] + data[place:]


def removed(data: bytes, place: int, generator: np.random.Generator) -> bytes:
    del data, place, generator
    return b""


DAMAGES: tuple[Damage, ...] = (flip, flip, flip, zero, noise, cut, insert, repeat, removed)


def place_in(size: int, generator: np.random.Generator) -> int:
    """Return a place: as often at the beginning or the end, where structure is, as anywhere."""
    edge = min(EDGE, size)
    begin, end = int(generator.integers(edge)), size - 1 - int(generator.integers(edge))
    return (begin, end, int(generator.integers(size)))[int(generator.integers(3))]


def harm(path: Path, generator: np.random.Generator) -> str:
    """Damage a file, and say how; its other copies stay as they are."""
    data = path.read_bytes()
    damage = DAMAGES[int(generator.integers(len(DAMAGES)))]
    place = place_in(len(data), generator) if data else 0
    harmed = damage(data, place, generator) if data else b"x"
    path.unlink()
    if damage is not removed:
        path.write_bytes(harmed)
    return f"{damage.__name__} at {place} of {len(data)}"
