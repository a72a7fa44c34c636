"""A step of training: the default head as it is trained, beside a plain loop in float32.

    python benchmarks/step.py

Baseline: forward, backward, AdamW as torch has it by default, and averaged weights one after the
other. Ceiling: the head's products of matrices alone, forward and backward, in bfloat16.
"""

import click
import torch
from bench.rounds import in_turns, show

from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import build_head
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.sources.inference import autocast
from pipeline.training.config import TrainConfig
from pipeline.training.optimisation import make_optimiser, update_average

SHAPES = {"layers": FeatureShape(num_layers=25, dim=1024, last_layer=24, input_layer=0)}
CLASSES = 8


def products(parameters: int, batch_size: int) -> None:
    """Multiply as many numbers as a network of so many parameters does in a step."""
    side = 1024
    a = torch.ones(batch_size, side, dtype=torch.bfloat16)
    b = torch.ones(side, side, dtype=torch.bfloat16)
    for _ in range(3 * max(parameters // side**2, 1)):
        a @ b


@click.command()
@click.option("--batch-size", default=128, show_default=True)
@click.option("--steps", default=10, show_default=True, help="In a round.")
@click.option("--repeats", default=5, show_default=True)
def main(batch_size: int, steps: int, repeats: int) -> None:
    """Print seconds and ratios."""
    phase = TrainConfig(num_steps=1).phase
    targets = torch.eye(CLASSES)[torch.arange(batch_size) % CLASSES]
    layers = torch.randn(batch_size, 25, 1024)
    batch = Batch(views={"layers": layers}, targets=targets, weights=torch.ones(batch_size))

    def trainer(precision: str, *, plain: bool) -> object:
        torch.manual_seed(0)
        head = build_head("genser", SHAPES, CLASSES, GenSERConfig()).train()
        trained = dict(head.named_parameters())
        average = {name: p.detach().clone() for name, p in trained.items()}
        optimiser = (
            torch.optim.AdamW(trained.values(), foreach=False)
            if plain
            else make_optimiser(trained, phase.optimiser)
        )

        def work() -> None:
            for step in range(steps):
                with autocast("cpu", precision):
                    losses = head.loss(
                        batch,
                        phase=phase,
                        progress=0.5,
                        generator=torch.Generator().manual_seed(step),
                    )
                optimiser.zero_grad(set_to_none=True)
                sum(losses.values()).backward()
                optimiser.step()
                if plain:
                    with torch.no_grad():
                        for name, parameter in trained.items():
                            average[name].lerp_(parameter, 0.01)
                else:
                    update_average(average, trained, step=step, decay=0.99)

        return work

    count = sum(
        p.numel() for p in build_head("genser", SHAPES, CLASSES, GenSERConfig()).parameters()
    )
    ways = {
        "plain, float32": trainer("float32", plain=True),
        "ours, float32": trainer("float32", plain=False),
        "ours, bfloat16": trainer("bfloat16", plain=False),
        "products alone": lambda: [products(count, batch_size) for _ in range(steps)],
    }
    title = f"{steps} steps of {count / 1e6:.1f} M parameters, batches of {batch_size}"
    show(title, in_turns(ways, repeats), ceiling="products alone")


if __name__ == "__main__":
    main()
