"""`genser verify`: every digest of a store, a head or predictions."""

import sys
from pathlib import Path

import click


@click.command("verify")
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option(
    "--repair", is_flag=True, help="Drop a store's damaged shards, so that extract refills them."
)
def command(path: Path, repair: bool) -> None:
    """Hold every byte of a store, a head, a fine-tuned encoder or predictions to its digest.

    \b
    Example:
      genser verify features/demo --repair
    """
    from pipeline.encoders.catalogue import open_encoder
    from pipeline.errors import ParamsError
    from pipeline.heads.folder import verify_head
    from pipeline.scoring.predictions import verify_predictions
    from pipeline.store.repair import repair_store
    from pipeline.store.verification import verify_store
    from stages.kinds import kind_of

    kind = kind_of(path)
    if kind == "params":
        raise ParamsError(f"{path}: has no digests; give a store, a head or predictions.")
    if kind == "head":
        verify_head(path)
    elif kind == "predictions":
        verify_predictions(path)
    elif kind == "encoder":
        open_encoder(str(path), compute_dtype="float32", device="cpu")
    else:
        faults = verify_store(path)
        if faults and repair:
            for line in repair_store(path):
                click.echo(line)
            faults = verify_store(path)
        if faults:
            for line in faults:
                click.echo(line, err=True)
            if not repair:
                click.echo(f"run 'genser verify {path} --repair', then extract again", err=True)
            sys.exit(1)
    click.echo(f"{path}: whole")
