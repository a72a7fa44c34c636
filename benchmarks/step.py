"""A step of training of each kind of head, beside a plain loop in float32.

    python benchmarks/step.py

Baseline: forward, backward, AdamW as torch has it by default, and averaged weights one after the
other, memory given back to the system as C's library does by itself. Ceiling: products of matrices
that take as many operations as the head's forward and backward pass. On a CPU
without instructions for bfloat16 all of it is in float32.
"""

import ctypes

import click
import torch
from bench.heads import HEADS, LANGUAGE, PHASE, Trained, made_head
from bench.precision import DTYPE, FASTEST, PRECISIONS
from bench.rounds import Work, in_turns, show
from torch.utils.flop_counter import FlopCounterMode

from pipeline.sources.inference import autocast
from pipeline.training.optimisation import make_optimiser, update_average
from stages.allocation import SETTINGS, keep_freed_memory

TRIM = -1  # mallopt's number of how much freed memory is kept at the end of the heap
KEPT = SETTINGS["MALLOC_TRIM_THRESHOLD_"][1]
BY_ITSELF = 1 << 26  # what glibc comes to where arrays of 32 MB and more are freed
GOALS = {"default": "2.5 times", "the paper's": "2.5 times"}
SIDE = 1024


def backward(trained: Trained, precision: str, step: int) -> None:
    """Go forward and back once."""
    with autocast("cpu", precision):
        losses = trained.network.loss(
            trained.batch,
            phase=PHASE,
            progress=0.5,
            generator=torch.Generator().manual_seed(step),
        )
    sum(losses.values()).backward()


def operations(trained: Trained) -> int:
    """Return how many operations on numbers a step's products take."""
    with FlopCounterMode(display=False) as counter:
        backward(trained, "float32", 0)
    return counter.get_total_flops()


def products(rows: int, count: int) -> Work:
    """Return products of matrices of so many rows, so many operations altogether."""
    a = torch.ones(rows, SIDE, dtype=DTYPE)
    b = torch.ones(SIDE, SIDE, dtype=DTYPE)

    def work() -> None:
        for _ in range(max(round(count / (2 * rows * SIDE**2)), 1)):
            a @ b

    return work


def trainer(trained: Trained, precision: str, *, plain: bool, steps: int) -> Work:
    """Return so many steps of one kind."""
    weights = {name: p for name, p in trained.network.named_parameters() if p.requires_grad}
    average = {name: p.detach().clone() for name, p in weights.items()}
    optimiser = (
        torch.optim.AdamW(weights.values(), foreach=False)
        if plain
        else make_optimiser(weights, PHASE.optimiser)
    )

    def work() -> None:
        ctypes.CDLL(None).mallopt(TRIM, BY_ITSELF if plain else KEPT)
        for step in range(steps):
            optimiser.zero_grad(set_to_none=True)
            backward(trained, precision, step)
            optimiser.step()
            if plain:
                with torch.no_grad():
                    for name, parameter in weights.items():
                        average[name].lerp_(parameter, 0.01)
            else:
                update_average(average, weights, step=step, decay=0.99)

    return work


@click.command()
@click.option("--only", type=click.Choice(HEADS), multiple=True, help="These heads alone.")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--clips", default=16, show_default=True, help="Of a batch of frames.")
@click.option("--frames", default=200, show_default=True, help="Of the longest clip, 4 seconds.")
@click.option("--steps", default=5, show_default=True, help="In a round; 1 with a language model.")
@click.option("--repeats", default=5, show_default=True)
def main(
    only: tuple[str, ...], batch_size: int, clips: int, frames: int, steps: int, repeats: int
) -> None:
    """Print seconds and ratios."""
    keep_freed_memory()
    for name in only or HEADS:
        size = batch_size if name in GOALS else clips
        taken = 1 if name == LANGUAGE else steps
        ways: dict[str, Work] = {}
        for way, precision, plain in (
            ("plain, float32", "float32", True),
            *((f"ours, {precision}", precision, False) for precision in PRECISIONS),
        ):
            trained = made_head(name, size, frames, precision)
            ways[way] = trainer(trained, precision, plain=plain, steps=taken)
        floor = products(trained.rows, operations(made_head(name, size, frames)))
        ways["products alone"] = lambda floor=floor, n=taken: [floor() for _ in range(n)]
        count = sum(p.numel() for p in trained.network.parameters()) / 1e6
        of = f"{size} clips" + f" of {frames // 2} to {frames} frames" * (name not in GOALS)
        goals = {f"ours, {FASTEST}": GOALS[name]} if name in GOALS else None
        title = (
            f"{name}: {taken} step{'s' * (taken > 1)} of {count:.1f} M parameters, batches of {of}"
        )
        show(title, in_turns(ways, repeats), ceiling="products alone", goals=goals)


if __name__ == "__main__":
    main()
