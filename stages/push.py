"""`genser push`: a store to object storage."""

from pathlib import Path

import click

from stages.progress import Progress


@click.command("push")
@click.argument("store", type=click.Path(file_okay=False, path_type=Path))
@click.argument("url")
@click.option("--replace", is_flag=True, help="Overwrite another store that is at URL.")
def command(store: Path, url: str, *, replace: bool) -> None:
    """Copy STORE to URL, s3://BUCKET/FOLDER or any other that fsspec knows.

    Shards go first and store.json last, so what is at URL is a whole store or none. Stopped at any
    moment, it goes on where it was; what is there already is not sent again.

    \b
    Example:
      genser push features/demo s3://bucket/features/demo
    """
    from pipeline.store.remote import push

    with Progress("files") as progress:
        sent = push(store, url, reporter=progress, replace=replace)
    click.echo(f"{url}: {sent} files sent, the others were there")
