"""What training waits for before its first step: the standardiser's pass over the features.

    python benchmarks/start.py

Baseline: numpy's mean, then its deviations, both in float64, a thousand rows at a time. Ceiling:
copying the features once.
"""

import click
import numpy as np
from bench.rounds import in_turns, show

from pipeline.heads.standardiser import moments


def two_passes(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of features (N, L, D), each after a pass of its own."""
    blocks = [features[start : start + 1000] for start in range(0, len(features), 1000)]
    mean = sum(block.astype(np.float64).sum(0) for block in blocks) / len(features)
    scatter = sum(np.square(block.astype(np.float64) - mean).sum(0) for block in blocks)
    return mean, np.sqrt(scatter / len(features))


@click.command()
@click.option("--rows", default=2000, show_default=True)
@click.option("--repeats", default=3, show_default=True)
def main(rows: int, repeats: int) -> None:
    """Print seconds and ratios."""
    features = np.random.default_rng(0).normal(size=(rows, 25, 1024)).astype(np.float16)
    ways = {
        "two passes": lambda: two_passes(features),
        "ours": lambda: moments([features], "dimension"),
        "copy": features.copy,
    }
    show(f"standardiser of {rows} rows of [25, 1024]", in_turns(ways, repeats), ceiling="copy")


if __name__ == "__main__":
    main()
