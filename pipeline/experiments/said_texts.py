"""What heads write of clips against what was written down: descriptions and transcripts.

A head says them in its columns `descriptors` and `transcript`; what they are held to are the
manifest's `descriptors` and the corpus's own `text`. A clip without a reference is left out.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.descriptions.agreement import most_frequent, slot_agreement
from pipeline.descriptions.grammar import Grammar
from pipeline.evaluation.columns import clusters_of
from pipeline.evaluation.java_scores import java_scores
from pipeline.evaluation.text_scores import caption_scores, word_error_interval
from pipeline.experiments.plan import Run
from pipeline.manifests.descriptors import DESCRIPTORS
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.texts import given_texts

TRANSCRIPT = "transcript"
SAID = (DESCRIPTORS, TRANSCRIPT)  # columns of predictions
GIVEN = {DESCRIPTORS: "given_descriptors", TRANSCRIPT: "given_text"}
WER = "wer"
TEXT_SCORES, SLOTS = "text_scores.csv", "slots.csv"
FLOOR, CEILING = "the most frequent description", "the description made of the numbers"


def said_rows(frame: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Return the scored clips of predictions with what was said of them and what is given.

    Args:
        frame: Of predictions, or some rows of it.
        manifest: That was scored.

    Returns:
        utterance_id, label, predicted, corpus, speaker, dialogue, those of `SAID` that the
        predictions have, and for each its column of `GIVEN`, "" where nothing is given.
    """
    told = [name for name in SAID if name in frame.columns]
    table = manifest.table.set_index("utterance_id")
    # What the manifest lacks is refused where scores are made.
    known = frame["predicted"].notna() & frame["utterance_id"].isin(table.index)
    rows = frame.loc[known, ["utterance_id", "label", "predicted", *told]]
    given = {DESCRIPTORS: _column(table, DESCRIPTORS), TRANSCRIPT: given_texts(table)}
    about = table[["corpus", "speaker", "dialogue"]].assign(
        **{GIVEN[name]: given[name] for name in told}
    )
    return rows.join(about, on="utterance_id").reset_index(drop=True)


def rows_of_runs(runs: Sequence[Run], folds: Mapping[str, Manifest]) -> dict[str, pd.DataFrame]:
    """Return `said_rows` of every system's runs together, of systems that say something.

    Args:
        runs: Of a cross-validation.
        folds: Each fold's manifest, whose descriptors may be the fold's own.
    """
    parts: dict[str, list[pd.DataFrame]] = {}
    for run in runs:
        if set(SAID) & set(run.predictions.extras):
            rows = said_rows(run.predictions.frame, folds[run.fold])
            parts.setdefault(run.system, []).append(rows.assign(fold=run.fold))
    return {name: pd.concat(mine, ignore_index=True) for name, mine in parts.items()}


def text_scores(
    systems: Mapping[str, pd.DataFrame], *, cluster: str, java_seconds: float
) -> pd.DataFrame:
    """Return how near what is said comes to what is given.

    Args:
        systems: Of each its `said_rows`.
        cluster: What intervals resample.
        java_seconds: The most that METEOR and SPICE may take each; 0 leaves them out.

    Returns:
        system, text (`descriptors` or `transcript`), score, value, low, high (NaN where nobody
        measured them), clips, clusters, and reason, why there is no value.
    """
    found = []
    for system, rows in systems.items():
        for text, mine in _compared(rows):
            for told in _scores(text, mine, cluster, java_seconds):
                told |= {"clips": len(mine), "clusters": len(set(clusters_of(mine, cluster)))}
                found.append({"system": system, "text": text, **told})
    columns = ("system", "text", "score", "value", "low", "high", "reason", "clips", "clusters")
    return pd.DataFrame(found, columns=columns)


def _scores(
    text: str, rows: pd.DataFrame, cluster: str, java_seconds: float
) -> Iterator[dict[str, object]]:
    given, said = rows[GIVEN[text]].tolist(), rows[text].fillna("").tolist()
    clusters = clusters_of(rows, cluster).tolist()
    if text == TRANSCRIPT:
        rate = word_error_interval(given, said, clusters)
        found = {} if rate is None else {WER: rate}
    else:
        found = caption_scores(given, said, clusters)
    for name, one in found.items():
        ends = {"low": one.low, "high": one.high}
        yield {"score": name, "value": one.value, **ends, "reason": ""}
    if text == DESCRIPTORS:
        for name, other in java_scores(given, said, seconds=java_seconds).items():
            ends = {"low": np.nan, "high": np.nan}
            yield {"score": name, "value": other.value, **ends, "reason": other.reason}


def slots_table(
    systems: Mapping[str, pd.DataFrame], grammar: Grammar, known: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Return how often descriptions say what was measured, slot by slot.

    Args:
        systems: Of each its `said_rows`, with the column `fold`.
        grammar: In whose words descriptions are read.
        known: The descriptors that each fold trains on, of which the most frequent one is made.

    Returns:
        system, and the columns of `slot_agreement`; `FLOOR` and `CEILING` come last, on the clips
        of the first system, `FLOOR` where each fold trains on descriptors. Without a slot in
        any reference it has no rows.
    """
    told = {name: _described(rows) for name, rows in systems.items() if DESCRIPTORS in rows}
    told = {name: rows for name, rows in told.items() if len(rows)}
    if not told:
        return pd.DataFrame()
    first = next(iter(told.values()))
    parts = [(name, rows, rows[DESCRIPTORS].fillna("")) for name, rows in told.items()]
    parts += [(name, first, texts) for name, texts in _bounds(first, grammar, known).items()]
    whole = pd.concat(
        [
            slot_agreement(said.tolist(), _levels(rows, grammar), grammar).assign(system=name)
            for name, rows, said in parts
        ],
        ignore_index=True,
    )
    return whole[["system", *(name for name in whole if name != "system")]]


def _bounds(
    rows: pd.DataFrame, grammar: Grammar, known: Mapping[str, Sequence[str]]
) -> dict[str, pd.Series]:
    """Return what one who knows nothing of a clip says, and one who knows its numbers."""
    commonest = {
        fold: most_frequent([grammar.levels_said(text) for text in texts])
        for fold, texts in known.items()
    }
    measured = _levels(rows, grammar)
    ids = rows["utterance_id"]
    ceiling = [grammar.sentence(levels, i) for levels, i in zip(measured, ids, strict=True)]
    bounds = {CEILING: pd.Series(ceiling)}
    # A manifest of test rows alone has no commonest description, and an empty one is no floor.
    if all(commonest[fold] for fold in set(rows["fold"])):
        floor = [
            grammar.sentence(commonest[fold], i) for fold, i in zip(rows["fold"], ids, strict=True)
        ]
        bounds = {FLOOR: pd.Series(floor), **bounds}
    return bounds


def _levels(rows: pd.DataFrame, grammar: Grammar) -> list[dict[str, int]]:
    return [grammar.levels_said(text) for text in rows[GIVEN[DESCRIPTORS]]]


def _described(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows[GIVEN[DESCRIPTORS]] != ""]


def known_descriptors(manifest: Manifest) -> list[str]:
    """Return the descriptors of a manifest's training clips that have some."""
    table = manifest.table
    texts = _column(table, DESCRIPTORS)[table["split"] == "train"]
    return [text for text in texts.tolist() if text]


def _compared(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each text that is said, with the clips of which it is given too."""
    for text in SAID:
        if text in rows.columns:
            mine = rows[rows[GIVEN[text]] != ""]
            if len(mine):
                yield text, mine


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    return table[name] if name in table.columns else pd.Series("", index=table.index, dtype="str")
