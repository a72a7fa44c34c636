"""`genser publish`: a trained head into a repository of the hub, with its model card."""

from pathlib import Path

import click

from stages.label_maps import find_label_map, read_label_map
from stages.options import label_map_option, params_of


@click.command("publish")
@click.argument("head", type=click.Path(file_okay=False, path_type=Path), metavar="HEAD")
@click.argument("repository", metavar="OWNER/NAME")
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Of this head, on clips that it was not trained on: their scores go on the card.",
)
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="That was scored: intervals then resample its speakers.",
)
@label_map_option
@click.option("--licence", default="other", show_default=True, help="Of the head, e.g. cc-by-4.0.")
@click.option("--private", is_flag=True, help="Make the repository for its owner alone.")
@click.option("--dry-run", is_flag=True, help="Print the card, and send nothing.")
@click.pass_context
def command(
    context: click.Context,
    head: Path,
    repository: str,
    predictions: Path | None,
    manifest: Path | None,
    label_map: Path | None,
    licence: str,
    private: bool,
    dry_run: bool,
) -> None:
    """Put HEAD into the repository OWNER/NAME of the hub, with a card that is written from it.

    Anybody then takes it by --head hf://OWNER/NAME@COMMIT, in every command. Log in first, with 'hf
    auth login' or HF_TOKEN. Encoders and language models are named on the card and not sent.

    \b
    Example:
      genser publish models/demo me/demo-emotions --predictions predictions/demo.parquet \\
        --manifest data_manifests/demo.csv --licence cc-by-4.0
    """
    from importlib.metadata import version

    from pipeline.evaluation.cluster_draws import draws_taken
    from pipeline.heads.saved import load_head
    from pipeline.manifests.manifest import read_manifest
    from pipeline.publishing.card import local_encoders, model_card
    from pipeline.publishing.hub_heads import push_head
    from pipeline.publishing.tested import licences_of, tested_of
    from pipeline.report.report import ReportConfig
    from pipeline.scoring.predictions import read_predictions

    trained = load_head(head)
    config = params_of(context).section("report", ReportConfig)
    context.with_resource(draws_taken(config.draws))
    tested = None
    if predictions is not None:
        rows = None if manifest is None else read_manifest(manifest)
        named = None if manifest is None else find_label_map(manifest, trained.task, label_map)
        tested = tested_of(
            trained,
            predictions,
            read_predictions(predictions),
            rows,
            read_label_map(named),
            split=config.split,
            cluster=config.cluster,
        )
    card = model_card(
        trained.record,
        repository,
        licence=licence,
        licences=licences_of(trained.record.corpora),
        tested=tested,
        version=version("genser"),
    )
    if dry_run:
        click.echo(card)
    else:
        click.echo(f"{head}: published, {push_head(head, repository, card, private=private)}")
    for encoder in local_encoders(trained.record):
        click.echo(
            f"{head}: its encoder {encoder} is a folder of this machine, and is not sent: whoever "
            "takes the head has to give the same one with --encoder.",
            err=True,
        )
