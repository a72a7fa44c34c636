"""What a manifest holds, part by part, and what is wrong with its split."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.manifests.coverage import lacking_sentences
from pipeline.manifests.labels import LabelMap, class_names, countable, train_classes
from pipeline.manifests.leaks import Leaks, find_leaks
from pipeline.manifests.manifest import SPLITS, Manifest
from pipeline.manifests.numbers import THIRDS
from pipeline.manifests.text_leaks import Finding, shared_texts, within_texts

SHORTEST_S = 0.025  # 400 samples at 16 kHz: one frame of HuBERT
LONGEST_S = 60.0
UNLABELLED, NO_SPLIT = "(none)", "(no split)"


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What an audit found.

    Attributes:
        table: One row for each fold and part: fold, part, clips, hours, speakers, and a count for
            each class.
        classes: The columns of the table that are classes.
        num_nameless: Rows without a speaker.
        leaks: What the parts of each fold share; the key is the fold, "" for the column `split`.
        lacking: Sentences on classes that train has and another part lacks.
        hints: Sentences on rows worth a look: one audio with two labels, odd durations.
        texts: What texts give away; the key is the fold for what parts share, "" for the column
            `split` and for what a text says by itself.
    """

    table: pd.DataFrame
    classes: list[str]
    num_nameless: int
    leaks: dict[str, Leaks]
    lacking: list[str]
    hints: list[str]
    texts: dict[str, list[Finding]]


def audit_manifest(
    manifest: Manifest,
    *,
    task: str,
    label_map: LabelMap | None,
    audio: pd.DataFrame | None = None,
    folds: bool = True,
) -> Audit:
    """Count each part's clips, hours, speakers and classes; find what parts share and texts tell.

    Args:
        manifest: The manifest.
        task: Label column.
        label_map: Of the task.
        audio: Columns audio_digest ("" where unknown) and duration (NaN where unknown) of each row.
        folds: Look at each fold of the manifest, and at its split if it has one.

    Raises:
        ManifestError: If a label is unknown.
    """
    names = class_names(manifest, task, label_map)
    if label_map is not None and label_map.numbers:
        names, label_map = countable(names, label_map), LabelMap(classes=THIRDS)
    classes = list(train_classes(names, label_map))
    durations = told_durations(manifest.table)
    digests = None
    if audio is not None:
        durations = audio["duration"].fillna(durations)
        digests = audio["audio_digest"]
    has_split = bool((manifest.table["split"] != "").any())
    named = list(manifest.folds) if folds else []
    rows, leaks, lacking = [], {}, []
    texts = {"": within_texts(manifest.table, names)}
    for fold in [None] * (has_split or not named) + named:
        table = manifest.of_fold(fold).table
        leaks[fold or ""] = find_leaks(table, digests)
        where = f"fold {fold}: " if fold else ""
        lacking += [where + sentence for sentence in lacking_sentences(table["split"], names)]
        texts[fold or ""] = [*shared_texts(table, names), *texts.get(fold or "", [])]
        for part in (*SPLITS, ""):
            of_part = (table["split"] == part).to_numpy()
            if of_part.any():
                counts = _counts(table[of_part], names[of_part], durations[of_part], classes)
                rows.append({"fold": fold or "", "part": part or NO_SPLIT, **counts})
    hints = [*_label_hints(names, digests, manifest), *_duration_hints(durations, manifest)]
    return Audit(
        table=pd.DataFrame(rows),
        classes=classes,
        num_nameless=int((manifest.table["speaker"] == "").sum()),
        leaks=leaks,
        lacking=lacking,
        hints=hints,
        texts=texts,
    )


def told_durations(table: pd.DataFrame) -> pd.Series:
    """Return seconds of each row as far as the manifest tells, NaN elsewhere."""
    whole = (table["num_samples"] / table["sample_rate"]).where(
        (table["num_samples"] > 0) & (table["sample_rate"] > 0)
    )
    return whole.fillna(table["end"] - table["start"].fillna(0.0))


def _counts(
    table: pd.DataFrame, names: pd.Series, durations: pd.Series, classes: list[str]
) -> dict[str, object]:
    told = table["speaker"] != ""
    pairs = table.loc[told, ["corpus", "speaker"]].drop_duplicates()
    of_class = names.replace("", UNLABELLED).value_counts()
    return {
        "clips": len(table),
        "hours": float(durations.sum() / 3600) if durations.notna().all() else np.nan,
        "speakers": len(pairs),
        **{name: int(of_class.get(name, 0)) for name in (*classes, UNLABELLED)},
    }


def _label_hints(names: pd.Series, digests: pd.Series | None, manifest: Manifest) -> list[str]:
    if digests is None:
        return []
    known = pd.DataFrame({"digest": digests, "label": names})
    known = known[(known["digest"] != "") & (known["label"] != "")]
    labels = known.groupby("digest")["label"].nunique()
    odd = known[known["digest"].isin(labels.index[labels > 1])].sort_values("digest", kind="stable")
    return [
        f"same audio, other labels: {_row(manifest, group.index[0])} is {group['label'].iloc[0]}, "
        f"{_row(manifest, group.index[-1])} is {group['label'].iloc[-1]}"
        for _, group in odd.groupby("digest", sort=False)
    ]


def _duration_hints(durations: pd.Series, manifest: Manifest) -> list[str]:
    odd = (durations < SHORTEST_S) | (durations > LONGEST_S)
    return [
        f"{durations.iloc[i]:.3f} s is not between {SHORTEST_S:g} and {LONGEST_S:g} s: "
        f"{_row(manifest, i)}"
        for i in np.flatnonzero(odd).tolist()
    ]


def _row(manifest: Manifest, position: int) -> str:
    name = manifest.table["utterance_id"].iloc[position]
    return f"row {manifest.row_number(position)} ({name!r})"
