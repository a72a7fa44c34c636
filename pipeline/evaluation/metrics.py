"""Scores of a classification, computed from counts.

Conventions: `labels` (what is so) and `predicted` (what the head said) are int64 arrays of class
indices 0 to C-1, one entry per clip, shape (B,). Every score is a plain float between 0 and 1,
higher is better. All of them are computed from integer counts, so the order of the clips cannot
change a bit of the result. Nothing is NaN: input that has no score is refused.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.errors import ShapeError


def weighted_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Share of clips predicted rightly (WA, accuracy).

        WA = (number of clips with predicted = label) / B

    The name is this field's: each class weighs as much as it has clips.

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.

    Returns:
        WA in [0, 1].

    Raises:
        ShapeError: If the arrays are empty, unequal in length or hold no class indices.

    >>> weighted_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]))
    0.75
    """
    check_indices(labels, predicted)
    return float(np.mean(labels == predicted))


def unweighted_accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall over the classes that occur among the labels (UA, UAR, balanced accuracy).

        UA = mean over classes c with support_c > 0 of hits_c / support_c

    Schuller, Steidl, Batliner: The INTERSPEECH 2009 Emotion Challenge (unweighted average recall).

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.

    Returns:
        UA in [0, 1]; 1/C for a head that always says one class.

    Raises:
        ShapeError: If the arrays are empty, unequal in length or hold no class indices.

    >>> unweighted_accuracy(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 0, 0]))
    0.5
    """
    support, _, hits = _counts(labels, predicted)
    occurs = support > 0
    return float(np.mean(hits[occurs] / support[occurs]))


def weighted_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean of the classes' F1, each weighted by its number of clips (WF1).

        WF1 = sum over c of support_c F1_c / B,  F1_c = 2 hits_c / (support_c + predicted_c)

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.

    Returns:
        WF1 in [0, 1].

    Raises:
        ShapeError: If the arrays are empty, unequal in length or hold no class indices.

    >>> weighted_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 2, 2]))
    0.5
    """
    support, said, hits = _counts(labels, predicted)
    return float(np.sum(support * _f1(support, said, hits)) / len(labels))


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Plain mean of F1 over the classes that occur in labels or predictions (MF1).

        MF1 = mean over c with support_c + predicted_c > 0 of 2 hits_c / (support_c + predicted_c)

    A class that is predicted but never a label therefore counts, with 0; a class of the taxonomy
    that occurs in neither does not. (Scikit-learn's rule as well.)

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.

    Returns:
        MF1 in [0, 1].

    Raises:
        ShapeError: If the arrays are empty, unequal in length or hold no class indices.

    >>> macro_f1(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))
    1.0
    >>> macro_f1(np.array([0, 0]), np.array([3, 3]))
    0.0
    """
    support, said, hits = _counts(labels, predicted)
    occurs = support + said > 0
    return float(np.mean(_f1(support, said, hits)[occurs]))


def majority_rate(labels: np.ndarray) -> float:
    """Share of the most frequent label: the WA of always saying that class.

        rate = max over c of support_c / B

    Args:
        labels: Class indices, shape (B,), int64.

    Returns:
        Rate in [1/C, 1].

    Raises:
        ShapeError: If the array is empty or holds no class indices.

    >>> majority_rate(np.array([2, 2, 0, 2]))
    0.75
    """
    check_indices(labels, labels)
    return float(np.max(np.bincount(labels)) / len(labels))


def recalls(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, float | None]:
    """Share of each class's clips that were predicted rightly.

        recall_c = hits_c / support_c

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.
        classes: Class names in index order, all different.

    Returns:
        Recall in [0, 1] by class name, in the order of `classes`; None where no clip has the label.

    Raises:
        ShapeError: If the arrays are empty or unequal in length, an index is outside the classes
            or a class is named twice.

    >>> recalls(np.array([0, 0, 1]), np.array([0, 1, 1]), ["calm", "sad", "shy"])
    {'calm': 0.5, 'sad': 1.0, 'shy': None}
    """
    if len(set(classes)) != len(classes):
        raise ShapeError(f"classes: found {list(classes)!r}, wanted each once; mend the label map.")
    matrix = confusion_matrix(labels, predicted, num_classes=len(classes))
    return {
        name: int(row[index]) / int(row.sum()) if row.any() else None
        for index, (name, row) in enumerate(zip(classes, matrix, strict=True))
    }


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Count of clips for each pair of label and prediction.

        matrix[a, p] = number of clips with label a and prediction p

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.
        num_classes: C, the number of classes.

    Returns:
        Counts, shape (C, C), int64; rows are actual, columns predicted; the sum is B.

    Raises:
        ShapeError: If the arrays are empty or unequal in length, or an index is outside 0 to C-1.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), num_classes=2).tolist()
    [[1, 1], [0, 1]]
    """
    check_indices(labels, predicted, num_classes=num_classes)
    pairs = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return pairs.reshape(num_classes, num_classes)


def summarise(
    labels: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> dict[str, object]:
    """All scores of one set of clips, ready for JSON.

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.
        classes: Class names in index order, all different.

    Returns:
        `wa`, `ua`, `wf1`, `macro_f1`, `recall` (by class name, None without a clip),
        `majority_rate` and `num_clips`.

    Raises:
        ShapeError: If the arrays are empty or unequal in length, an index is outside the classes
            or a class is named twice.

    >>> summarise(np.array([0, 1]), np.array([0, 1]), ["calm", "sad"])["recall"]
    {'calm': 1.0, 'sad': 1.0}
    """
    recall = recalls(labels, predicted, classes)
    return {
        **{name: score(labels, predicted) for name, score in SELECTORS.items()},
        "recall": recall,
        "majority_rate": majority_rate(labels),
        "num_clips": len(labels),
    }


SELECTORS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "wa": weighted_accuracy,
    "ua": unweighted_accuracy,
    "wf1": weighted_f1,
    "macro_f1": macro_f1,
}
"""The scores by which a model may be selected on dev, by the names used in parameters and files."""


def _counts(labels: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return per class: clips with the label, clips predicted as it, clips where both hold."""
    check_indices(labels, predicted)
    num_classes = int(max(labels.max(), predicted.max())) + 1
    support = np.bincount(labels, minlength=num_classes)
    said = np.bincount(predicted, minlength=num_classes)
    hits = np.bincount(labels[labels == predicted], minlength=num_classes)
    return support, said, hits


def _f1(support: np.ndarray, said: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """F1 per class; 0 for a class that occurs nowhere."""
    f1: np.ndarray = 2 * hits / np.maximum(support + said, 1)
    return f1


def check_indices(
    labels: np.ndarray, predicted: np.ndarray, *, num_classes: int | None = None
) -> None:
    """Refuse what are no class indices of as many clips.

    Args:
        labels: Class indices, shape (B,), int64.
        predicted: Class indices, shape (B,), int64.
        num_classes: C; None sets no upper bound.

    Raises:
        ShapeError: Saying what was found.
    """
    for name, values in (("labels", labels), ("predicted", predicted)):
        if values.ndim != 1 or values.dtype != np.int64:
            raise ShapeError(
                f"{name}: found shape {values.shape!r} and dtype {str(values.dtype)!r}, wanted "
                "shape (B,) and dtype 'int64'; pass one class index per clip."
            )
        if len(values) == 0:
            raise ShapeError(
                f"{name}: found 0 clips, wanted at least 1; score a split that has labelled clips."
            )
        outside = (values < 0) | (values >= (num_classes or np.inf))
        if outside.any():
            wanted = "0 or more" if num_classes is None else f"0 to {num_classes - 1}"
            raise ShapeError(
                f"{name}: found class index {int(values[outside][0])!r} at clip "
                f"{int(np.argmax(outside))}, wanted {wanted}; leave out clips without a class."
            )
    if len(labels) != len(predicted):
        raise ShapeError(
            f"labels: found {len(labels)} clips and {len(predicted)} predictions, wanted as many; "
            "pass one prediction per clip."
        )
