"""How a report was made, in words: its terms, what was trained on what, commands and versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.evaluation.bootstrap import FEW_CLUSTERS
from pipeline.heads.phase import LAST
from pipeline.report.numbers import NUMBER_NAMES
from pipeline.report.page import Section
from pipeline.report.tables import NAMES
from pipeline.scoring.predictions import CONTAMINATED, HEAD_CORPORA, Predictions

if TYPE_CHECKING:  # a report is made without torch
    from pipeline.heads.record import HeadRecord

UNTOLD = "not told"
POOLED = {"mean": "the mean over time", "mean_std": "mean and deviation over time"}
# Entries that are said elsewhere on the page, and digests, which are in the files themselves.
_ELSEWHERE = {"task", "head", "head_kind", "recipes", "leaks", "head_leaks", "transductive"}
_ELSEWHERE |= {HEAD_CORPORA, CONTAMINATED, "seed", "text_sources", "head_text_sources", "dev"}


@dataclass(frozen=True, kw_only=True)
class Making:
    """Who made a report, when and with what; "" and nothing where nobody says.

    Attributes:
        command: The command line.
        date: Year, month and day.
        versions: Of the packages.
        record: Of the head that made the first predictions.
    """

    command: str = ""
    date: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    record: "HeadRecord | None" = None


def terms_of(predictions: Mapping[str, Predictions], *, num_clusters: int, cluster: str) -> str:
    """Return on which terms scores were reached, as the first predictions are stamped.

    Args:
        predictions: By name.
        num_clusters: That intervals resample.
        cluster: What those are.
    """
    metadata = next(iter(predictions.values())).metadata
    leaks = metadata.get("head_leaks") or {}
    shared = leaks.get("shared_speakers", 0) if isinstance(leaks, dict) else 0
    stamp = (
        f"{shared} speakers were in more than one split when it was trained."
        if shared
        else "No speaker was in two splits when it was trained."
    )
    transductive = (
        " It is transductive: each speaker or new corpus was standardised by its own scored clips."
        * bool(metadata.get("transductive"))
    )
    known: Any = metadata.get(CONTAMINATED) or ()
    contaminated = (
        f" Contaminated: the model behind its features was trained on {', '.join(known)}, which is "
        "scored here." * bool(known)
    )
    few = f" Intervals resample only {num_clusters} {cluster}s, so their ends say little." * (
        num_clusters < FEW_CLUSTERS
    )
    return f"{stamp}{transductive}{contaminated}{few}"


def about_facts(
    predictions: Mapping[str, Predictions],
    making: Making,
    *,
    corpora: Sequence[str],
    split: str,
    num_clips: int,
    num_clusters: int,
    cluster: str,
) -> list[tuple[str, str]]:
    """Return which system this is, what it was trained on, and what was scored."""
    name, first = next(iter(predictions.items()))
    record = making.record
    kind = str(first.metadata.get("head_kind", "unknown"))
    heard = f", on features of {record.encoder}" if record else ""
    clips = f", {record.num_train} clips" if record else ""
    of = "" if cluster == "clip" else f" of {num_clusters} {cluster}s"
    return [
        ("System", f"{name}: a head of kind {kind}{heard}"),
        ("Trained on", f"{trained_corpora(first)}{clips}"),
        (
            "Scored on",
            f"{', '.join(corpora) or 'a corpus that is not told'}, "
            f"{'all rows' if split == 'all' else split}: {num_clips} clips{of}",
        ),
        ("Tells apart", ", ".join(first.classes)) if first.classes else ("Says", "a number"),
    ]


def making_section(
    predictions: Mapping[str, Predictions], making: Making, baselines: Sequence[str]
) -> Section:
    """Return the command, the date, the versions, and the recipe of every system in words."""
    record = making.record
    facts = [("Command", making.command), ("Date", making.date)]
    facts += [("Versions", _listed(making.versions))]
    if record:
        facts += [
            (f"Features: {view}", _hearing(record, view, recipe))
            for view, recipe in record.recipes.items()
        ]
        facts += [("Training", _training(record))]
        if dict(record.versions) != dict(making.versions):
            facts += [("Trained with", _listed(record.versions))]
    facts += [(f"Scoring: {name}", _scoring(one)) for name, one in predictions.items()]
    if baselines:
        facts += [("Baselines", f"{', '.join(baselines)}, trained on the same rows and features")]
    return Section(title="How this was made", facts=[(name, said) for name, said in facts if said])


def kept_step(record: "HeadRecord") -> str:
    """Say which step's weights are kept, and why."""
    by = record.select_by
    names = {**NAMES, **NUMBER_NAMES}
    chosen = "the last one" if by == LAST else f"the best on dev by {names.get(by, by)}"
    return f"step {record.best_step} is kept and scored ({chosen})"


def _hearing(record: "HeadRecord", view: str, recipe: Mapping[str, Any]) -> str:
    """Say how the features of a view were made, as far as its recipe tells."""
    encoder = record.encoders.get(view) or recipe.get("name") or "ingested"
    shapes = [record.shapes[need.name] for need in record.needs if need.view == view]
    pooled = POOLED.get(str(recipe.get("pooling", "")), "")
    rate = recipe.get("sample_rate")
    window = recipe.get("window_s")
    computed, stored = recipe.get("compute_dtype"), recipe.get("stored_dtype")
    parts = [
        str(encoder),
        *(f"{shape.num_layers} layers of {shape.dim} numbers" for shape in shapes[:1]),
        pooled,
        f"heard at {rate} Hz" if rate else "",
        f"in windows of {window:g} s" if window else "",
        f"computed in {computed}" if computed else "",
        f"kept in {stored}" if stored else "",
    ]
    return ", ".join(part for part in parts if part)


def _training(record: "HeadRecord") -> str:
    train = record.train
    optimiser = train.get("optimiser")
    rate = optimiser.get("learning_rate") if isinstance(optimiser, Mapping) else None
    schedule = optimiser.get("schedule") if isinstance(optimiser, Mapping) else None
    parts = [
        f"head {record.kind}",
        f"{train['num_steps']} steps" if "num_steps" in train else "",
        f"batches of {train['batch_size']} clips" if "batch_size" in train else "",
        f"learning rate {rate:g}, {schedule}" if rate and schedule else "",
        f"seed {record.seed}",
        f"{record.num_train} clips of train, {record.num_dev} of dev",
        kept_step(record),
    ]
    return ", ".join(part for part in parts if part)


def _scoring(predictions: Predictions) -> str:
    metadata = predictions.metadata
    parts = [
        f"head {metadata.get('head_kind', 'unknown')} trained on {trained_corpora(predictions)}",
        f"seed {metadata.get('seed', 0)}",
    ]
    parts += [_worded(key, value) for key, value in metadata.items() if key not in _ELSEWHERE]
    texts = metadata.get("text_sources")
    parts += [f"texts {_value(texts)}"] if texts else []
    return ", ".join(parts)


def _worded(key: str, value: object) -> str:
    """Return one entry of how was scored, as a person would say it."""
    if key == "num_steps":
        return f"{value} steps"
    if key == "prior":
        as_trained = "shares of classes as in training"
        return as_trained if value == "train" else f"{value} shares of classes"
    if key == "mask_classes":
        told = "are ruled out" if value else "are not ruled out"
        return f"classes that a corpus lacks in training {told}"
    return f"{key.replace('_', ' ')} {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_value(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return " and ".join(map(_value, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def trained_corpora(predictions: Predictions | None) -> str:
    """Return the corpora that a system's head was trained on, as its predictions say."""
    told = None if predictions is None else predictions.metadata.get(HEAD_CORPORA)
    if not isinstance(told, list | tuple) or not told:
        return UNTOLD
    return ", ".join(str(name) or "a corpus without a name" for name in told)


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
