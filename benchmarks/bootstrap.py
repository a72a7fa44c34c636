"""Intervals that resample speakers, beside the loops that one would write.

    python benchmarks/bootstrap.py

Baseline: each draw puts its clips together and scores them, with scikit-learn, or with numpy's
counts. The loops run for a few draws, and their time is scaled to all of them.
"""

import click
import numpy as np
from bench.rounds import in_turns, show
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from pipeline.evaluation.bootstrap import cluster_counts, intervals, scores_of
from pipeline.evaluation.cluster_draws import draws_taken

CLASSES = 8


def by_sklearn(labels: np.ndarray, predicted: np.ndarray) -> None:
    """Score clips as `scores_of` does, but for each class's recall."""
    accuracy_score(labels, predicted)
    balanced_accuracy_score(labels, predicted)
    f1_score(labels, predicted, average="weighted")
    f1_score(labels, predicted, average="macro")


def by_numpy(labels: np.ndarray, predicted: np.ndarray) -> None:
    """Count clips, and score the counts."""
    counts = np.bincount(labels * CLASSES + predicted, minlength=CLASSES**2)
    scores_of(counts.reshape(CLASSES, CLASSES))


@click.command()
@click.option("--rows", default=100_000, show_default=True)
@click.option("--speakers", default=1000, show_default=True)
@click.option("--draws", default=10_000, show_default=True)
@click.option("--few", default=20, show_default=True, help="Draws of the loops.")
@click.option("--repeats", default=3, show_default=True)
def main(rows: int, speakers: int, draws: int, few: int, repeats: int) -> None:
    """Print seconds and ratios."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, rows)
    is_right = generator.random(rows) < 0.6
    predicted = np.where(is_right, labels, generator.integers(0, CLASSES, rows))
    speaker = np.arange(rows) % speakers
    members = [np.flatnonzero(speaker == i) for i in range(speakers)]
    names = [f"s{i}" for i in speaker]

    def loop(score: object) -> None:
        drawn = np.random.default_rng(0)
        for _ in range(few):
            chosen = np.concatenate([members[i] for i in drawn.integers(0, speakers, speakers)])
            score(labels[chosen], predicted[chosen])

    def ours() -> None:
        with draws_taken(draws):
            intervals(cluster_counts(labels, predicted, names, num_classes=CLASSES))

    ways = {
        "scikit-learn": lambda: loop(by_sklearn),
        "numpy": lambda: loop(by_numpy),
        "ours": ours,
    }
    times = in_turns(ways, repeats)
    for name in ("scikit-learn", "numpy"):
        times[name] = [(c * draws / few, w * draws / few) for c, w in times[name]]
    title = f"{draws} draws of {speakers} speakers, {rows} clips"
    show(title, times, goals={"ours": "keep 1178 times"})
    show(title, {name: times[name] for name in ("numpy", "ours")}, goals={"ours": "keep 23 times"})


if __name__ == "__main__":
    main()
