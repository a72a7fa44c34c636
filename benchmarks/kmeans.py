"""How fast k-means is beside faiss and scikit-learn, as ratios within one process.

    pip install -c constraints.txt 'genser[bench]'
    python benchmarks/kmeans.py                                        # about a minute
    python benchmarks/kmeans.py --frames 1000000 --dim 1024 --k 1000 --repeats 1 --max-steps 200

Baseline: faiss with the same iterations on the same frames, 256 for each centroid. MiniBatchKMeans
draws from all frames; it gets the fewest steps, doubled from 25, after which it is as good as ours
in float32, or the most that are allowed. Inertia is the mean squared distance of all frames to the
nearest centroid. CPU time is that of all threads, those that spin while they wait included; wall
time also has what others on the machine took.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import click
import numpy as np
import torch
from bench.precision import PRECISIONS

from pipeline.quantisation.kmeans import fit_kmeans, nearest

PER_CENTROID = 256
BATCH = 10_000


def made_frames(num_frames: int, dim: int, seed: int = 0) -> np.ndarray:
    """Return frames of 2,000 broad groups with deviations that fall off by dimension, float16."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.arange(1, dim + 1) ** -0.5
    centres = torch.randn(2000, dim, generator=generator) * spread
    frames = np.empty((num_frames, dim), np.float16)
    for first in range(0, num_frames, 10_000):
        num = min(10_000, num_frames - first)
        noise = torch.randn(num, dim, generator=generator) * spread
        member = torch.randint(0, len(centres), (num,), generator=generator)
        block = (centres[member] + noise) / (spread * 2**0.5)
        frames[first : first + num] = block.half().numpy()
    return frames


def inertia(frames: np.ndarray, centroids: np.ndarray) -> float:
    """Return the mean squared distance of all frames to the nearest centroid."""
    total, columns = 0.0, torch.from_numpy(centroids)
    for first in range(0, len(frames), 100_000):
        block = torch.from_numpy(frames[first : first + 100_000]).float()
        total += float(nearest(block, columns)[1].double().sum())
    return total / len(frames)


def fit_ours(sample: np.ndarray, k: int, iterations: int, compute_dtype: str) -> np.ndarray:
    """Fit with this project's code, on frames as they are stored."""
    fit = fit_kmeans(
        torch.from_numpy(sample),
        k=k,
        mean=torch.zeros(sample.shape[1]),
        scale=torch.ones(sample.shape[1]),
        iterations=iterations,
        generator=torch.Generator().manual_seed(1),
        compute_dtype=compute_dtype,
    )
    return fit.centroids.numpy()


def fit_faiss(sample: np.ndarray, k: int, iterations: int) -> np.ndarray:
    """Fit with faiss, which wants float32."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    model = faiss.Kmeans(
        sample.shape[1], k, niter=iterations, seed=1, max_points_per_centroid=len(sample)
    )
    model.train(sample.astype(np.float32))
    found: np.ndarray = model.centroids
    return found


class MiniBatch:
    """scikit-learn's MiniBatchKMeans, a number of steps at a time."""

    def __init__(self, frames: np.ndarray, k: int) -> None:
        from sklearn.cluster import MiniBatchKMeans

        self.frames = frames
        self.generator = np.random.default_rng(1)
        # Without its reassignments it is better: at K = 1000 in 1024 dimensions its default throws
        # so many centroids onto random frames that inertia rises by a fifth after the first step.
        self.model = MiniBatchKMeans(
            k, batch_size=BATCH, n_init=1, random_state=1, reassignment_ratio=0
        )
        self.num_steps = 0

    def run(self, num_steps: int) -> np.ndarray:
        """Go on until so many steps are done; the first one chooses by k-means++."""
        while self.num_steps < num_steps:
            places = self.generator.integers(0, len(self.frames), min(BATCH, len(self.frames)))
            self.model.partial_fit(self.frames[places].astype(np.float32))
            self.num_steps += 1
        found: np.ndarray = self.model.cluster_centers_.astype(np.float32)
        return found


def measured(work: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Return CPU seconds, wall seconds and what was made."""
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return time.process_time() - cpu, time.perf_counter() - wall, found


def steps_to(
    bound: float, frames: np.ndarray, k: int, most: int
) -> tuple[MiniBatch, tuple[float, float, np.ndarray]]:
    """Run MiniBatchKMeans to an inertia, or for `most` steps; return it and what its steps took."""
    model, num_steps, cpu, wall = MiniBatch(frames, k), min(25, most), 0.0, 0.0
    while True:
        more_cpu, more_wall, centroids = measured(partial(model.run, num_steps))
        cpu, wall = cpu + more_cpu, wall + more_wall
        if num_steps == most or inertia(frames, centroids) <= bound:
            return model, (cpu, wall, centroids)
        num_steps = min(2 * num_steps, most)


@click.command()
@click.option("--frames", "num_frames", default=50_000, show_default=True)
@click.option("--dim", default=256, show_default=True)
@click.option("--k", default=200, show_default=True)
@click.option("--iterations", default=20, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--max-steps", default=100, show_default=True, help="Of MiniBatchKMeans.")
def main(num_frames: int, dim: int, k: int, iterations: int, repeats: int, max_steps: int) -> None:
    """Print seconds, ratios and inertia."""
    frames = made_frames(num_frames, dim)
    chosen = np.random.default_rng(0).permutation(num_frames)[: PER_CENTROID * k]
    sample = frames[np.sort(chosen)]
    print(f"{num_frames} frames of {dim}, {len(sample)} fitted, K = {k}, {iterations} iterations")
    print(f"CPU, {torch.get_num_threads()} threads, medians of {repeats}")
    systems: dict[str, Callable[[], np.ndarray]] = {
        "faiss": partial(fit_faiss, sample, k, iterations),
        **{f"ours {name}": partial(fit_ours, sample, k, iterations, name) for name in PRECISIONS},
    }
    rounds = {name: [measured(work)] for name, work in systems.items()}
    reached = {name: inertia(frames, times[0][2]) for name, times in rounds.items()}
    bound = reached["ours float32"]
    model, first = steps_to(bound, frames, k, max_steps)
    rounds["mini-batch"] = [first]
    reached["mini-batch"] = inertia(frames, first[2])
    systems["mini-batch"] = lambda: MiniBatch(frames, k).run(model.num_steps)
    for _ in range(repeats - 1):
        for name, work in systems.items():
            rounds[name].append(measured(work))
    print(f"{'':14} {'CPU s':>8} {'wall s':>8} {'/ faiss':>8} {'wall':>6} {'inertia':>10}")
    for name, times in rounds.items():
        show(name, times, rounds["faiss"], reached[name])
    verdict = "reached" if reached["mini-batch"] <= bound else "not reached"
    print(f"mini-batch: {model.num_steps} steps of {BATCH} frames, ours in float32 {verdict}")


def show(
    name: str,
    times: list[tuple[float, float, np.ndarray]],
    base: list[tuple[float, float, np.ndarray]],
    reached: float,
) -> None:
    """Print one row: medians, and their ratios to the baseline's."""
    cpu, wall = (statistics.median(t[i] for t in times) for i in (0, 1))
    cpu_base, wall_base = (statistics.median(t[i] for t in base) for i in (0, 1))
    ratios = f"{cpu / cpu_base:8.2f} {wall / wall_base:6.2f}"
    print(f"{name:14} {cpu:8.2f} {wall:8.2f} {ratios} {reached:10.4f}", flush=True)


if __name__ == "__main__":
    main()
