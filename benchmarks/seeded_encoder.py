"""Save an encoder of a real architecture with seeded random weights, to measure and try with.

python benchmarks/seeded_encoder.py models/hubert-large-seeded --size large
"""

from pathlib import Path

import click

from pipeline.encoders.seeded import FAMILIES, SIZES, save_seeded_encoder


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--size", type=click.Choice(list(SIZES)), default="large", show_default=True)
@click.option("--family", type=click.Choice(FAMILIES), default="hubert", show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(folder: Path, size: str, family: str, seed: int) -> None:
    """Save a seeded encoder into FOLDER."""
    save_seeded_encoder(folder, size=size, family=family, seed=seed)
    print(f"{folder}: {family}, {size}, seed {seed}")


if __name__ == "__main__":
    main()
