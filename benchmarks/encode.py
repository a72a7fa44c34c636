"""How fast the encoder runs, as ratios within one run.

    python benchmarks/encode.py --encoder models/hubert-large-seeded

Baseline: one clip at a time in float32. Beside it: batches, bfloat16, and the rate at which this
machine multiplies matrices in each type, which bounds what any encoder can reach.
"""

import time
from collections.abc import Callable

import click
import numpy as np
import torch

from pipeline.encoders.base import Encoder
from pipeline.encoders.catalogue import open_encoder

NUM_CLIPS = 8
SECONDS = 4.0
REPEATS = 3


def best_time(work: Callable[[], object]) -> float:
    """Return the shortest of a few runs, after one that does not count."""
    work()
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def multiply_rate(dtype: torch.dtype, device: str) -> float:
    """Return the rate of a feed-forward layer's product, in 1e9 operations a second."""
    a = torch.randn(1600, 1024, dtype=dtype, device=device)
    b = torch.randn(1024, 4096, dtype=dtype, device=device)

    def work() -> None:
        for _ in range(10):
            torch.mm(a, b)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    return 10 * 2 * 1600 * 1024 * 4096 / best_time(work) / 1e9


def encode_rate(encoder: Encoder, waveforms: list[np.ndarray], *, batched: bool) -> float:
    """Return seconds of audio encoded per second."""

    def work() -> None:
        if batched:
            encoder.encode(waveforms)
        else:
            for waveform in waveforms:
                encoder.encode([waveform])

    return NUM_CLIPS * SECONDS / best_time(work)


@click.command()
@click.option(
    "--encoder", "spelling", required=True, help="Folder or owner/name@commit of the encoder."
)
@click.option("--device", default="cpu", show_default=True)
def main(spelling: str, device: str) -> None:
    """Print real-time factors and ratios."""
    generator = np.random.default_rng(0)
    length = round(SECONDS * 16000)
    waveforms = [generator.normal(size=length).astype(np.float32) for _ in range(NUM_CLIPS)]
    baseline = 0.0
    print(f"{NUM_CLIPS} clips of {SECONDS:g} s, {device}, {torch.get_num_threads()} threads")
    print(f"{'type':10} {'clips':8} {'x real time':>12} {'ratio':>7} {'matrix GFLOP/s':>15}")
    for name in ("float32", "bfloat16", *(["float16"] if device != "cpu" else [])):
        rate = multiply_rate(getattr(torch, name), device)
        encoder = open_encoder(spelling, compute_dtype=name, device=device)
        for batched in (False, True):
            found = encode_rate(encoder, waveforms, batched=batched)
            baseline = baseline or found
            kind = "batched" if batched else "single"
            print(f"{name:10} {kind:8} {found:12.1f} {found / baseline:7.2f} {rate:15.0f}")


if __name__ == "__main__":
    main()
