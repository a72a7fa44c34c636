"""What a clip's label is: one class, or the shares of those who judged it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError, ParamsError
from pipeline.manifests.labels import UNLABELLED, LabelMap
from pipeline.manifests.manifest import VOTES, Manifest
from pipeline.manifests.numbers import Numbers

TARGETS = ("label", "votes")


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return class indices (N,) as targets, float32, shape (N, C); an unlabelled row is all 0."""
    known = labels != UNLABELLED
    targets = np.zeros((len(labels), num_classes), np.float32)
    targets[np.flatnonzero(known), labels[known]] = 1.0
    return targets


def vote_shares(
    table: pd.DataFrame, classes: Sequence[str], label_map: LabelMap | None
) -> np.ndarray:
    """Return the share of the votes for each class, of the columns `votes.<raw label>`.

    Votes for what the label map drops, or for what is no class of the head, are left out.

    Returns:
        Shares, float64, shape (N, C); a row without votes is all NaN.
    """
    places = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(table), len(classes)))
    for column in (name for name in table.columns if name.startswith(VOTES)):
        raw = column.removeprefix(VOTES)
        name = raw if label_map is None else label_map.mapping.get(raw, raw)
        if name in places:
            counts[:, places[name]] += table[column].fillna(0.0).to_numpy(dtype=np.float64)
    total = counts.sum(1, keepdims=True)
    shares: np.ndarray = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    return shares


def about_rows(
    manifest: Manifest,
    classes: Sequence[str],
    label_map: LabelMap | None,
    *,
    also: Sequence[str] = (),
) -> pd.DataFrame:
    """Return what is known of every row for judging its predictions, by utterance id.

    Args:
        manifest: The manifest.
        classes: In score order.
        label_map: Of the task.
        also: Columns that are wanted besides where the manifest has them.

    Returns:
        Columns corpus, speaker, dialogue and those; and `votes.<class>`, shares, where there are
        votes.
    """
    table = manifest.table
    names = dict.fromkeys(("corpus", "speaker", "dialogue", *also))
    about = table.set_index("utterance_id")[[name for name in names if name in table.columns]]
    shares = vote_shares(table, classes, label_map)
    if np.isnan(shares).all():
        return about
    return about.assign(**{f"{VOTES}{name}": shares[:, i] for i, name in enumerate(classes)})


def make_targets(
    table: pd.DataFrame,
    labels: np.ndarray,
    classes: Sequence[str],
    label_map: LabelMap | None,
    *,
    kind: str,
    numbers: Numbers | None = None,
) -> np.ndarray:
    """Return what the loss compares with, float32, shape (N, C), rows sum to 1.

    Args:
        table: Of the manifest's rows that are trained on.
        labels: Their class indices, shape (N,).
        classes: In score order.
        label_map: Of the task.
        kind: `"label"`, or `"votes"`; a row without votes has its label.
        numbers: The rows' labels where they are numbers: shares of the ends of their scale.

    Raises:
        ParamsError: If the kind is unknown, or votes are wanted of numbers.
        ManifestError: If votes are wanted and no row has any for these classes.
    """
    if kind not in TARGETS:
        raise ParamsError(f"train.targets: {kind!r} is not one of {list(TARGETS)}.")
    if numbers is not None:
        if kind != "label":
            raise ParamsError(
                f"train.targets: found {kind!r}, which is for classes, but labels are numbers; set "
                "it to 'label'."
            )
        return numbers.shares
    targets = one_hot(labels, len(classes))
    if kind == "label":
        return targets
    shares = vote_shares(table, classes, label_map)
    voted = ~np.isnan(shares[:, 0])
    if not voted.any():
        found = [name for name in table.columns if name.startswith(VOTES)]
        raise ManifestError(
            f"train.targets: 'votes', but no training row has votes for the classes "
            f"{list(classes)}; found the columns {found}; set it to 'label'."
        )
    targets[voted] = shares[voted]
    return targets


def classes_by_corpus(
    targets: np.ndarray, corpora: np.ndarray, classes: Sequence[str]
) -> dict[str, list[str]]:
    """Return the classes that each corpus's training rows have, in class order."""
    return {
        str(name): [
            label
            for label, share in zip(classes, targets[corpora == name].sum(0), strict=True)
            if share > 0
        ]
        for name in sorted(set(corpora))
    }
