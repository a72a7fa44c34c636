"""A report on predictions: metrics.json, tables, pictures, and one page that shows them all."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import ParamsError, PredictionsError
from pipeline.evaluation.abstention import abstention_table
from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.cluster_draws import FEWEST_DRAWS, MOST_DRAWS, NUM_DRAWS
from pipeline.evaluation.columns import (
    ALL_SPLITS,
    CLUSTERS,
    NO_SPLIT,
    are_numbers,
)
from pipeline.evaluation.concordance import CCC
from pipeline.evaluation.groups import Grouping, groupings_of
from pipeline.evaluation.number_standings import number_standings_of
from pipeline.evaluation.standings import Standing, standings_of
from pipeline.experiments.said_texts import SAID
from pipeline.files import publish_bytes
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import SPLITS, Manifest
from pipeline.manifests.tables import write_csv
from pipeline.report.abstention import abstention_sections
from pipeline.report.beside_published import published_sections
from pipeline.report.besides import besides_sections
from pipeline.report.emoq_study import emoq_standings_sections
from pipeline.report.groups import group_entries, group_sections
from pipeline.report.making import Making, about_facts, making_section, terms_of
from pipeline.report.measures import interval_entries, lacking_texts, measure
from pipeline.report.numbers import intervals_of, number_figures, number_sections
from pipeline.report.page import Page, Section, write_page
from pipeline.report.pictures import confusion_picture, reliability_sections
from pipeline.report.tables import (
    comparison_table,
    prediction_table,
    recall_table,
    systems_table,
    with_others,
)
from pipeline.report.verdict import number_verdict_of, verdict_of
from pipeline.scoring.predictions import HEAD_CORPORA, Predictions

METRICS, STANDINGS = "metrics.json", "standings.csv"


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What a report shows."""

    split: str = "test"  # what is measured: train, dev, test, unsplit, or all rows
    cluster: str = "speaker"  # what intervals resample: speaker, dialogue (MELD), or clip
    draws: int = NUM_DRAWS  # of clusters, that each interval is taken from
    margin: float = 0.02  # how much less UA, or CCC of numbers, still counts as not inferior
    java_seconds: float = 60.0  # METEOR and SPICE of descriptions may take each; 0 leaves them out

    def __post_init__(self) -> None:
        if self.cluster not in CLUSTERS:
            raise ParamsError(f"report.cluster: {self.cluster!r} is not one of {list(CLUSTERS)}.")
        if not FEWEST_DRAWS <= self.draws <= MOST_DRAWS:
            raise ParamsError(
                f"report.draws: {self.draws} is not from {FEWEST_DRAWS} to {MOST_DRAWS}."
            )
        if not 0 <= self.margin < 1:
            raise ParamsError(f"report.margin: {self.margin} is not from 0 to below 1.")
        if not self.java_seconds >= 0:
            raise ParamsError(f"report.java_seconds: {self.java_seconds} is below 0.")
        known = [*SPLITS, NO_SPLIT, ALL_SPLITS]
        if self.split not in known:
            raise ParamsError(f"report.split: {self.split!r} is not one of {known}.")


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What a report is made of; all but the predictions may be absent.

    Attributes:
        predictions: By name, the first is compared with the others.
        manifest: That was scored: its speakers are resampled.
        label_map: Of the task, for the votes that the manifest has.
        baselines: What they are compared with, by name; in the tables, without pictures.
        others: Foreign predictions, by name.
        encoder: What it was heard with, for the table beside published numbers.
        language: The language model of a head that has one, for the same.
        making: Who makes the report, and with what.
        sections: Made elsewhere.
    """

    predictions: Mapping[str, Predictions]
    manifest: Manifest | None = None
    label_map: LabelMap | None = None
    baselines: Mapping[str, Predictions] = field(default_factory=dict)
    others: Mapping[str, Path] = field(default_factory=dict)
    encoder: str = "?"
    language: str = "?"
    making: Making = field(default_factory=Making)
    sections: list[Section] = field(default_factory=list)


def write_report(folder: Path, sources: Sources, config: ReportConfig) -> dict[str, Any]:
    """Write `metrics.json`, `standings.csv`, confusions, reliability, and the page.

    Returns:
        The content of `metrics.json`: by name, then by split.

    Raises:
        PredictionsError: If predictions have no labelled, scored row in the split to be shown, or
            systems were not scored on the same rows.
        OutputError: If something cannot be written.
    """
    cluster = config.cluster if sources.manifest is not None else "clip"
    every = {**sources.predictions, **sources.baselines}
    rows = prediction_table(every, config.split, sources.manifest, sources.label_map)
    is_all = config.split == ALL_SPLITS
    if is_all:
        _refuse_trained_rows(rows, every)
    task = str(next(iter(sources.predictions.values())).metadata.get("task"))
    title = f"{task}: {', '.join(sources.predictions)} on {config.split}{' rows' * is_all}"
    table = with_others(rows, sources.others)
    metrics = {name: measure(one, with_all=is_all) for name, one in every.items()}
    if are_numbers(table):
        _write_number_report(
            folder, sources, config, table, metrics, cluster=cluster, title=title, task=task
        )
        return metrics
    corpora = sorted(set(table["corpus"]) - {""})
    found = standings_of(table, cluster=cluster, margin=config.margin)
    systems = [one.system for one in found.overall]
    shown = [name for name in systems if name not in sources.baselines]
    groups = groupings_of(table, found.classes, cluster=cluster, without=task)
    for one in found.overall:
        if one.system in metrics:
            told = interval_entries(one) | _told_of(groups, one.system)
            metrics[one.system][config.split] |= told
    _write_scores(folder, metrics, found.table())
    scores = Section(
        title="Scores",
        texts=[
            "WA is accuracy (each clip counts as much), UA the mean recall of the classes (each "
            "class counts as much), F1 their usual sense. ECE, Brier score and NLL say how far "
            "the probabilities can be believed; lower is better.",
            *lacking_texts(metrics, config.split),
        ],
        tables=[
            systems_table(found.overall, cluster=cluster),
            *([comparison_table(systems[0], found.comparisons)] if found.comparisons else []),
        ],
    )
    by_class = Section(
        title="Class by class",
        tables=[recall_table(found.overall, found.classes)],
        pictures=[
            confusion_picture(folder, table, name, found.classes, config.split) for name in shown
        ],
    )
    # With a manifest these are shown beside what is given.
    shown_elsewhere = () if sources.manifest is None else SAID
    page = Page(
        title=title,
        verdict=verdict_of(found, where=_where(corpora), baselines=sources.baselines),
        **_terms(sources, config, corpora, found.first.scores["ua"], found.first.num_clips),
        figures=_figures(found.first),
        sections=[
            scores,
            by_class,
            *group_sections(groups, cluster=cluster),
            *reliability_sections(folder, table, shown, found.classes),
            *abstention_sections(folder, abstention_table(table, cluster=cluster)),
            *besides_sections(sources.predictions, config.split, without=shown_elsewhere),
            *sources.sections,
            *published_sections(
                found.overall,
                every,
                task=task,
                corpora=corpora,
                split=config.split,
                encoder=sources.encoder,
            ),
            *emoq_standings_sections(
                found.overall,
                every,
                corpora=_corpora(sources),
                split=config.split,
                encoder=sources.encoder,
                language=sources.language,
            ),
            making_section(sources.predictions, sources.making, list(sources.baselines)),
        ],
    )
    write_page(folder, page)
    return metrics


def _write_number_report(
    folder: Path,
    sources: Sources,
    config: ReportConfig,
    table: pd.DataFrame,
    metrics: dict[str, Any],
    *,
    cluster: str,
    title: str,
    task: str,
) -> None:
    """Write the report of systems that say numbers, and add their intervals to the metrics."""
    found = number_standings_of(table, cluster=cluster, margin=config.margin)
    groups = groupings_of(table, None, cluster=cluster, without=task)
    for one in found.overall:
        if one.system in metrics:
            metrics[one.system][config.split] |= intervals_of(one) | _told_of(groups, one.system)
    _write_scores(folder, metrics, found.table())
    shown = [one.system for one in found.overall if one.system not in sources.baselines]
    corpora = sorted(set(table["corpus"]) - {""})
    page = Page(
        title=title,
        verdict=number_verdict_of(found, where=_where(corpora), baselines=sources.baselines),
        **_terms(sources, config, corpora, found.first.scores[CCC], found.first.num_clips),
        figures=number_figures(found.first),
        sections=[
            *number_sections(
                folder, table, found, drawn=shown, cluster=cluster, split=config.split
            ),
            *group_sections(groups, cluster=cluster),
            *sources.sections,
            making_section(sources.predictions, sources.making, list(sources.baselines)),
        ],
    )
    write_page(folder, page)


def _told_of(groups: Sequence[Grouping], system: str) -> dict[str, Any]:
    """Return what the groups of one system add to its metrics."""
    own = [grouping for grouping in groups if grouping.system == system]
    return {"groups": group_entries(own)} if own else {}


def _write_scores(folder: Path, metrics: Mapping[str, Any], standings: pd.DataFrame) -> None:
    write_csv(folder / STANDINGS, standings)
    text = json.dumps(metrics, indent=1, sort_keys=True, ensure_ascii=False)
    publish_bytes(folder / METRICS, f"{text}\n".encode())


def _refuse_trained_rows(table: pd.DataFrame, predictions: Mapping[str, Predictions]) -> None:
    """Refuse to measure all rows of a corpus that a head was trained on."""
    for name, one in predictions.items():
        told = one.metadata.get(HEAD_CORPORA)
        known = set(told) if isinstance(told, list | tuple) else set()
        if both := sorted(known & set(table["corpus"]) - {""}):
            raise PredictionsError(
                f"{name}: its head was trained on rows of {both[0]!r}, and 'all' of them are to be "
                "measured; set report.split to a part that it was not trained on."
            )


def _figures(one: Standing) -> list[tuple[str, str, str]]:
    def note(name: str) -> str:
        return f"95 %: {one.scores[name].low:.3f} to {one.scores[name].high:.3f}"

    return [
        ("UA, mean recall", f"{one.scores['ua'].value:.3f}", note("ua")),
        ("WA, accuracy", f"{one.scores['wa'].value:.3f}", note("wa")),
        ("Chance (UA)", f"{1 / one.num_classes:.3f}", f"{one.num_classes} classes"),
        ("Commonest class (WA)", f"{one.majority_rate:.3f}", f"{one.num_clips} clips"),
    ]


def _where(corpora: Sequence[str]) -> str:
    return " and ".join(corpora) or "these clips"


def _terms(
    sources: Sources, config: ReportConfig, corpora: Sequence[str], score: Interval, num_clips: int
) -> dict[str, Any]:
    """Return the page's lead and facts."""
    cluster = config.cluster if sources.manifest is not None else "clip"
    counts: dict[str, Any] = {"num_clusters": score.num_clusters, "cluster": cluster}
    return {
        "lead": terms_of(sources.predictions, **counts),
        "facts": about_facts(
            sources.predictions,
            sources.making,
            corpora=corpora,
            split=config.split,
            num_clips=num_clips,
            **counts,
        ),
    }


def _corpora(sources: Sources) -> list[str]:
    return [] if sources.manifest is None else sorted(set(sources.manifest.table["corpus"]))
