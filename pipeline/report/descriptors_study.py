"""The studies of emotion descriptors on a page, beside what the paper prints."""

from pathlib import Path

import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.experiments.compared import MEASURES
from pipeline.experiments.descriptors_study import (
    BETA,
    CONDITION,
    PARTS,
    DescriptorsStudy,
    has_descriptors,
    study_descriptors,
)
from pipeline.experiments.emoq_study import has_emoq
from pipeline.experiments.probe_files import PROBES
from pipeline.experiments.said_texts import SLOTS, TEXT_SCORES, WER
from pipeline.experiments.system_files import SYSTEMS, read_systems
from pipeline.experiments.tables import PREDICTIONS, STANDINGS
from pipeline.experiments.token_study import Row, rows_of
from pipeline.manifests.tables import read_csv, write_csv
from pipeline.report.apart import tables_beside
from pipeline.report.costs import cost_section, read_seconds
from pipeline.report.descriptions import (
    HEADINGS,
    HOW,
    PERCENT,
    missing_scores,
    score_cells,
    slot_tables,
)
from pipeline.report.descriptors_pictures import draw_branches
from pipeline.report.head_probe import PROTOCOL
from pipeline.report.page import Section, Table
from pipeline.report.published_descriptors import (
    DESCRIPTIONS,
    DESCRIPTORS,
    HUBERT,
    LLAMA,
    TEXT_CORPORA,
    TEXTS,
    UAS,
    PublishedUA,
)
from pipeline.report.tables import NAMES, few_note
from pipeline.report.token_cells import interval
from pipeline.report.variants import draw_variants

OTHERS = (
    f"The paper's rows are of {HUBERT}, {LLAMA}, {DESCRIPTIONS}; ours of what each row says. Only "
    "rows with the same encoder, language model, descriptions, data and split can be compared."
)
TITLES = {
    PARTS: "Branches, bottleneck and stages: what disentanglement and alternation are worth",
    BETA: "Beta, the weight of the bottleneck: from the first to the last of each stage",
    CONDITION: "What stands before the emotion: the head's own description (predicted), the given "
    "one (gold), none; or descriptions never learnt",
}
WHAT = {PARTS: "branches, bottleneck, stages", BETA: "beta", CONDITION: "before the emotion"}
ALL_RIGHT = "slots"  # the column of the studies: the mean accuracy of slots
GAIN = "UA more than the whole"


def descriptors_sections(out: Path, name: str, folder: Path, *, cluster: str) -> list[Section]:
    """Return the studies of a cross-validation that has systems of descriptors; else nothing.

    Args:
        out: The report's folder; tables and pictures get there as `<name>_descriptors_<what>`.
        name: Of the cross-validation.
        folder: What 'genser crossval' wrote.
        cluster: What intervals resample.

    Raises:
        PredictionsError: If its files are damaged or of another version, or systems were not scored
            on the same clips.
        OutputError: If something cannot be written.
    """
    if not ((folder / SYSTEMS).is_file() and (folder / STANDINGS).is_file()):
        return []
    systems = read_systems(folder / SYSTEMS)
    if not has_descriptors(systems):
        return []
    try:
        predictions = pd.read_parquet(folder / PREDICTIONS)
        seconds, devices = read_seconds(folder)
        probes, scores, slots = (
            read_csv(folder / file) if (folder / file).is_file() else pd.DataFrame()
            for file in (PROBES, TEXT_SCORES, SLOTS)
        )
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{folder}: lacks what the study of descriptors is made of ({error}); run "
            "'genser crossval' again."
        ) from error
    study = study_descriptors(
        predictions, systems, seconds, probes=probes, scores=scores, slots=slots, cluster=cluster
    )
    for what, table in study.tables().items():
        write_csv(out / f"{name}_descriptors_{what}.csv", table)
    note = (
        f" In brackets 95 % intervals that resample {study.num_clusters} {cluster}s, the same ones "
        f"for all systems.{few_note(study.num_clusters)}"
    )
    stem = f"{name}_descriptors"
    return [
        Section(
            title=f"{name}: the studies of emotion descriptors",
            texts=[OTHERS],
            tables=[one for table in TITLES for one in _variants(study, table, note)],
            pictures=draw_variants(out, stem, study.variants, WHAT),
        ),
        *_written(name, study, scores, slots, cluster),
        *(
            [
                Section(
                    title=f"{name}: what each branch knows",
                    texts=[f"{PROTOCOL} Means over the runs of each system."],
                    tables=[Table(caption="UA of each question.", frame=_probe_cells(probes))],
                    pictures=draw_branches(out, stem, study, probes),
                )
            ]
            if len(probes)
            else []
        ),
        # EmoQ's study shows the costs of every system already.
        *(
            []
            if has_emoq(systems)
            else [
                cost_section(out, name, study.systems, study.reference, devices=devices, note=note)
            ]
        ),
    ]


def _variants(study: DescriptorsStudy, table: str, note: str) -> list[Table]:
    """Return our variants of a part, and what the paper prints of it."""
    scored_on = f"{', '.join(study.corpora)}, {study.num_classes} classes, {study.split}"
    mine = study.variants
    mine = mine[mine["table"] == table] if len(mine) else mine
    told = {row["system"]: row for row in rows_of(study.told)}
    several = len(mine) and mine["whole"].nunique() > 1
    ours = [
        _ours(row, told[row["system"]], scored_on, several=bool(several)) for row in rows_of(mine)
    ]
    published = [row for row in UAS if row.table == table]
    same = [row for row in published if _is_of(row, study)]
    other = [row for row in published if row not in same]
    of = " and ".join(dict.fromkeys(row.corpus for row in other))
    return tables_beside(
        ours,
        [_published(row) for row in same],
        [_published(row) for row in other],
        title=TITLES[table],
        other_title=f"{DESCRIPTORS} on {of}, {WHAT[table]}, {HUBERT}, {LLAMA}",
        scored_on=scored_on,
        note=note,
    )


def _is_of(row: PublishedUA, study: DescriptorsStudy) -> bool:
    """Say whether a row is of our corpus and split, as far as these are told."""
    is_split = study.num_folds is None or row.corpus != "meld"  # which has one of its own
    return study.corpora == (row.corpus,) and is_split


def _published(row: PublishedUA) -> dict[str, str]:
    return {
        "system": row.system,
        NAMES["ua"]: "-" if row.ua is None else f"{row.ua:.3f}",
        GAIN: "" if row.is_whole else f"{row.gain:+.3f}",
        "encoder": HUBERT,
        "language model": LLAMA,
        "descriptions": DESCRIPTIONS,
        "scored on": f"{row.corpus}, ?",
        "source": f"{DESCRIPTORS}; {row.note}",
    }


def _ours(row: Row, told: Row, scored_on: str, *, several: bool) -> dict[str, str]:
    """Return one of ours as a row under published ones, with its texts and probes beside."""
    whole = f", whole is {row['whole']}" * several
    is_whole = row["system"] == row["whole"]
    beside = {
        _heading(name): _beside(name, value)
        for name, value in told.items()
        if _is_told(row["table"], name) and pd.notna(value)
    }
    return {
        "system": f"{row['variant']}: {row['system']} (ours{whole})",
        **{NAMES[score]: interval(row, score) for score in MEASURES},
        GAIN: "" if is_whole else interval(row, "ua_difference", signed=True),
        **beside,
        "encoder": str(row["encoder"]),
        "language model": str(row["language"]),
        "descriptions": str(row["described_by"]) or "none",
        "scored on": scored_on,
        "source": "this report",
    }


def _is_told(table: str, name: str) -> bool:
    """Say whether what is known of systems stands in a table: of beta what branches know."""
    is_probe = ": " in name
    if table == BETA:
        return is_probe or name in (ALL_RIGHT, WER)
    return name in (ALL_RIGHT, *HEADINGS)


def _heading(name: str) -> str:
    return "slots right" if name == ALL_RIGHT else HEADINGS.get(name, name)


def _beside(name: str, value: float) -> str:
    return f"{100 * value:.1f}" if name in PERCENT else f"{value:.3f}"


def _written(
    name: str, study: DescriptorsStudy, scores: pd.DataFrame, slots: pd.DataFrame, cluster: str
) -> list[Section]:
    """Return how near what systems write comes to what is given, beside the paper's spans."""
    if scores.empty:
        return []
    spans = [
        {"system": DESCRIPTORS, **{HEADINGS[s.score]: f"{s.low:g} to {s.high:g}" for s in TEXTS}}
    ]
    notes = [f"{HEADINGS[s.score]} of the paper: {s.note}." for s in TEXTS if s.note]
    is_same = set(study.corpora) <= set(TEXT_CORPORA)
    corpora = ", ".join(TEXT_CORPORA)
    return [
        Section(
            title=f"{name}: what is written",
            texts=[HOW, *notes, *missing_scores(scores)],
            tables=[
                *tables_beside(
                    rows_of(score_cells(scores)),
                    spans if is_same else [],
                    [] if is_same else spans,
                    title="How near what is written comes to what is given"
                    + f"; of the paper the least and the most over {corpora}" * is_same,
                    other_title=f"the least and the most over {corpora}, {HUBERT}, {LLAMA}",
                    scored_on=", ".join(study.corpora),
                    note=" In brackets 95 % intervals that resample "
                    f"{scores['clusters'].max()} {cluster}s.",
                ),
                *slot_tables(slots),
            ],
        )
    ]


def _probe_cells(probes: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each system and representation, and a column for each question."""
    means = probes.groupby(["system", "representation", "question"], sort=False)["ua"]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for names, values in means:
        system, inside, question = map(str, names)
        row = rows.setdefault((system, inside), {"system": system, "representation": inside})
        spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
        row[question] = f"{values.mean():.3f}{spread}"
    chance = probes.groupby("question", sort=False)["chance"].mean()
    last = {"system": "chance", "representation": ""}
    last |= {str(question): f"{value:.3f}" for question, value in chance.items()}
    return pd.DataFrame([*rows.values(), last]).fillna("")
