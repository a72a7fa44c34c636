"""`genser pull`: a store from object storage."""

from pathlib import Path

import click

from stages.progress import Progress


@click.command("pull")
@click.argument("url")
@click.argument("store", type=click.Path(file_okay=False, path_type=Path))
def command(url: str, store: Path) -> None:
    """Copy the store at URL to the folder STORE, or bring that up to date.

    Every file is held to its digest. Stopped at any moment, it goes on where it was.

    \b
    Example:
      genser pull s3://bucket/features/demo features/demo
    """
    from pipeline.store.remote import pull

    with Progress("files") as progress:
        fetched = pull(url, store, reporter=progress)
    click.echo(f"{store}: {fetched} files fetched, the others were there")
