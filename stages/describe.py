"""`genser describe`: how clips sound, in words, beside the rows of a manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.errors import first_ten
from stages.grammars import read_grammar
from stages.options import by_corpus, claim, manifest_argument, out_manifest_option, params_of
from stages.progress import Progress

if TYPE_CHECKING:
    from pipeline.descriptions.describe import Summary


@click.command("describe")
@manifest_argument
@out_manifest_option
@click.option(
    "--audio-root",
    "audio_roots",
    multiple=True,
    metavar="[CORPUS=]DIR",
    help="Measure the recordings below this folder; repeat as CORPUS=DIR for several corpora.",
)
@click.option(
    "--store",
    "stores",
    multiple=True,
    metavar="[CORPUS=]STORE",
    help="Take openSMILE's functionals of this feature store instead.",
)
@click.option(
    "--view", default="functionals", show_default=True, help="The store's view of eGeMAPSv02."
)
@click.option(
    "--from",
    "given",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Join the descriptions of this file instead: JSON, as SpeechCraft has it, or a table.",
)
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Decoders.")
@click.pass_context
def command(
    context: click.Context,
    manifest: Path,
    out: Path,
    audio_roots: Sequence[str],
    stores: Sequence[str],
    view: str,
    given: Path | None,
    workers: int,
) -> None:
    """Write a manifest whose `descriptors` say how each clip sounds.

    Pitch, melody, loudness, accents, speed, pauses and tone are measured, held against training
    clips of the same speaker, gender or corpus, and worded by a grammar; no label is read. Cuts and
    grammar are kept in OUT.description.json. Rows with descriptors of their own keep them. Of a
    manifest with folds each gets its own. Measured recordings are kept in OUT.measured: stopped at
    any moment it goes on where it was.

    \b
    Example:
      genser describe ravdess.csv --audio-root ~/ravdess --out described.csv
    """
    from pipeline.descriptions.config import DescribeConfig
    from pipeline.descriptions.describe import describe
    from pipeline.descriptions.record import description_path
    from pipeline.errors import ParamsError
    from pipeline.manifests.manifest import read_manifest, write_manifest
    from pipeline.manifests.tables import require_known_suffix

    config = params_of(context).section("describe", DescribeConfig)
    if sum(map(bool, (audio_roots, stores, given))) != 1:
        raise ParamsError("--audio-root, --store, --from: wanted one of the three.")
    if out.resolve() == manifest.resolve():
        raise ParamsError(f"--out {out}: is the manifest itself, wanted another file; name one.")
    grammar = read_grammar(config.grammar).with_first(config.templates)
    read = read_manifest(manifest)
    require_known_suffix(out)
    claim(out, is_folder=False)
    claim(description_path(out), is_folder=False)
    if given is not None:
        from pipeline.descriptions.given import take_given

        table, source, joined = take_given(read, given, grammar, config)
        write_manifest(out, table)
        click.echo(
            f"{out}: {joined.num_joined} of {joined.num_rows} rows described by {source}, joined "
            f"by {joined.by} to {joined.num_in_file} descriptions; {joined.num_cut} without a "
            f"clause that names an emotion, {joined.num_lost} with nothing left"
        )
        return
    if audio_roots:
        from pipeline.descriptions.measuring import measured_acoustics

        with Progress("clips") as progress:
            acoustics = measured_acoustics(
                read,
                by_corpus(audio_roots, "--audio-root"),
                max_duration_s=config.max_duration_s,
                kept_in=out.with_name(f"{out.name}.measured"),
                workers=workers,
                reporter=progress,
            )
    else:
        from pipeline.dataset import StoredFeatures
        from pipeline.descriptions.functionals import stored_acoustics

        features = StoredFeatures(read, by_corpus(stores, "--store"), (view,))
        acoustics = stored_acoustics(features, view)
    table, description, summary = describe(read, acoustics, grammar, config)
    write_manifest(out, table)
    description.write(description_path(out))
    _show(out, description.source, summary)


def _show(out: Path, source: str, summary: "Summary") -> None:
    for line in first_ten(summary.failures):
        click.echo(line, err=True)
    counts = ", ".join(f"{n} {outcome}" for outcome, n in summary.outcomes.items())
    against = ", ".join(f"{n} against their {kind}" for kind, n in summary.against.items())
    kept = f"; {summary.num_given} keep what they had" * bool(summary.num_given)
    click.echo(f"{out}: {counts}; {summary.num_made} described by {source}, {against}{kept}")
    if summary.example:
        click.echo(f"{out}: {summary.example}")
