"""What each representation of a head knows: a logistic regression on each, question by question.

Emotion (the head's task), gender and sentence are asked across speakers: fitted on the clips that
the head was trained on, scored on those of people whom neither has heard. The speaker cannot be
asked so. It is asked within the speakers of the scored part, whom the head has not heard: folds in
which no sentence is both fitted and scored, so that words do not tell who speaks. What a head
makes of a clip stands beside the mean of the frames that it reads, and beside chance.

Regressions see standardised numbers; each has the penalty that is best over inner folds, which are
held apart as the outer ones are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.dataset import StoredFeatures
from pipeline.errors import HeadError
from pipeline.evaluation.bootstrap import cluster_counts, intervals
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch, Ragged, of_layers
from pipeline.heads.logreg import LogReg, LogRegConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.saved import TrainedHead
from pipeline.heads.standardiser import Standardiser
from pipeline.manifests.labels import class_names
from pipeline.manifests.manifest import speaker_names
from pipeline.manifests.texts import given_texts
from pipeline.progress import Reporter
from pipeline.scoring.score import open_clips
from pipeline.sources.inference import gather_source
from pipeline.store.views import CODES, LAYERS
from pipeline.training.targets import one_hot

SPEAKER, SENTENCE, GENDER, CLIP = "speaker", "sentence", "gender", "clip"
FEWEST = 5  # fitted clips of a label that is asked for
MOST_FOLDS = 5  # of the speaker
MEAN_OF = "mean of "  # the name of what a head reads, before that of its need

Representations = Mapping[str, np.ndarray]  # by name, shape (N, W)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of each representation.

    Attributes:
        name: What it is called.
        labels: Of every row, "" where it has none, shape (N,).
        folds: Pairs of rows: fitted, and scored.
        apart: What no fold has on both sides: `speaker`, `sentence`, or `clip`.
        groups: Which one each row is of, shape (N,).
    """

    name: str
    labels: np.ndarray
    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    apart: str
    groups: np.ndarray


def has_representations(head: Head) -> bool:
    """Say whether a head shows what it makes of a clip within."""
    return type(head).representations is not Head.representations


def probe_head(
    features: StoredFeatures,
    trained: TrainedHead,
    part: str,
    *,
    device: str,
    reporter: Reporter,
) -> pd.DataFrame:
    """Ask every representation of a head, and the mean of what it reads, what it knows.

    Args:
        features: Of a manifest whose training rows are those of the head.
        trained: The head.
        part: The split that is scored.
        device: A torch device.
        reporter: Hears of the regressions.

    Returns:
        A row for each question and representation: question, representation, ua, ua_low, ua_high,
        wa, chance (1 / classes), classes, fitted (clips; of folds the mean), scored, apart (what no
        clip fitted shares with one scored, and what intervals resample) and clusters. Empty where
        no label of two values can be asked for.

    Raises:
        HeadError: If it shows no representations, or was trained on another split.
        ManifestError: If a label is unknown to the head's label map.
        FeatureStoreError: If a store is damaged.
    """
    if not has_representations(trained.head):
        raise HeadError(
            f"a head of kind {trained.record.kind!r} shows nothing of what it makes of a clip "
            "within, wanted one that does, such as 'descriptors'; probe layers without --head."
        )
    if not is_split_of(features, trained):
        raise HeadError(
            f"{features.manifest.path}: its training clips are not those that the head was trained "
            f"on ({trained.record.num_train}); give the manifest, and the fold, that it was "
            "trained with."
        )
    asked = questions(features, trained, part)
    if not asked:
        return pd.DataFrame()
    rows = np.unique(np.concatenate([part for q in asked for fold in q.folds for part in fold]))
    found = represent(features, rows, trained, device=device)
    reporter.begin(len(asked) * len(found))
    told = []
    for question in asked:
        for name, values in found.items():
            answered = _ask(question, rows, values)
            told.append({"question": question.name, "representation": name, **answered})
            reporter.advance(1)
    return pd.DataFrame(told)


def is_split_of(features: StoredFeatures, trained: TrainedHead) -> bool:
    """Say whether a manifest has as many clips to train on as the head had."""
    table = features.manifest.table
    if trained.task not in table.columns:
        return False
    names = class_names(features.manifest, trained.task, trained.record.label_map)
    is_train = (table["split"] == "train") & (names != "") & features.has_features
    return int(is_train.sum()) == trained.record.num_train


def represent(
    features: StoredFeatures, rows: np.ndarray, trained: TrainedHead, *, device: str
) -> Representations:
    """Return what a head makes of rows within, then the means of what it reads of them."""
    source = open_clips(features, rows, trained, device=device).source
    kinds = {need.name: need.kind for need in trained.record.needs}

    def made(batch: Batch) -> dict[str, Tensor]:
        read = {
            f"{MEAN_OF}{name}": _mean(view)
            for name, view in batch.views.items()
            if kinds[name] != CODES
        }
        return {**trained.head.representations(batch), **read}

    return gather_source(
        trained.head, source, made, device=device, precision=trained.record.precision
    )


def questions(features: StoredFeatures, trained: TrainedHead, part: str) -> list[Question]:
    """Return what can be asked with the labels that a manifest has."""
    manifest = features.manifest
    table = manifest.table
    speakers = speaker_names(table).to_numpy(dtype="U")
    sentences = given_texts(table).to_numpy(dtype="U")
    usable = features.has_features
    parts = {name: usable & (table["split"] == name).to_numpy() for name in ("train", part)}
    labels = {}
    if trained.record.scale is None:
        labels[trained.task] = class_names(manifest, trained.task, trained.record.label_map)
    if GENDER in table.columns:
        labels.setdefault(GENDER, table[GENDER])
    columns = {name: column.to_numpy(dtype="U") for name, column in labels.items()}
    asked = [
        _across(name, column, parts["train"], parts[part], speakers)
        for name, column in {**columns, SENTENCE: sentences}.items()
    ]
    known = parts[part] & (table["speaker"] != "").to_numpy()
    asked.append(_within(np.where(known, speakers, ""), sentences))
    return [one for one in asked if one is not None]


def _across(
    name: str, labels: np.ndarray, train: np.ndarray, part: np.ndarray, speakers: np.ndarray
) -> Question | None:
    """Return a question that is fitted on some speakers and scored on others."""
    labels = np.where(train | part, labels, "")
    shared = _frequent(labels[train]) & set(labels[part]) - {""}
    if len(shared) < 2:
        return None
    labels = np.where(np.isin(labels, sorted(shared)), labels, "")
    fold = tuple(np.flatnonzero((labels != "") & rows) for rows in (train, part))
    return Question(
        name=name, labels=labels, folds=((fold[0], fold[1]),), apart=SPEAKER, groups=speakers
    )


def _within(labels: np.ndarray, sentences: np.ndarray) -> Question | None:
    """Return the question who speaks, over folds within the speakers."""
    from sklearn.model_selection import StratifiedGroupKFold

    labels = np.where(np.isin(labels, sorted(_frequent(labels))), labels, "")
    rows = np.flatnonzero(labels != "")
    if len(set(labels[rows])) < 2:
        return None
    clips = np.array([f"clip {i}" for i in range(len(labels))])
    apart = SENTENCE if len(set(sentences[rows]) - {""}) > 1 else CLIP
    groups = clips if apart == CLIP else np.where(sentences == "", clips, sentences)
    num_folds = min(MOST_FOLDS, len(set(groups[rows])))
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=0)
    folds = tuple(
        (rows[fit], rows[score])
        for fit, score in splitter.split(rows, labels[rows], groups[rows])
        if len(set(labels[rows[fit]])) > 1 and len(score)
    )
    if not folds:
        return None
    return Question(name=SPEAKER, labels=labels, folds=folds, apart=apart, groups=groups)


def _frequent(labels: np.ndarray) -> set[str]:
    names, counts = np.unique(labels[labels != ""], return_counts=True)
    return set(names[counts >= FEWEST].tolist())


def _ask(question: Question, rows: np.ndarray, values: np.ndarray) -> dict[str, object]:
    """Return how well one representation answers a question.

    Args:
        question: The question.
        rows: Of the manifest, that `values` are of, in order.
        values: Shape (len(rows), W).
    """
    classes = sorted(set(question.labels) - {""})
    y = np.searchsorted(classes, question.labels)
    predicted = []
    for fit, part in question.folds:
        x_fit, x_part = (values[np.searchsorted(rows, one)] for one in (fit, part))
        predicted.append(_predict(x_fit, y[fit], question.groups[fit], x_part, len(classes)))
    every = np.concatenate([part for _, part in question.folds])
    counts = cluster_counts(
        y[every],
        np.concatenate(predicted),
        question.groups[every].tolist(),
        num_classes=len(classes),
    )
    found = intervals(counts)
    return {
        "ua": found["ua"].value,
        "ua_low": found["ua"].low,
        "ua_high": found["ua"].high,
        "wa": found["wa"].value,
        "chance": 1 / len(classes),
        "classes": len(classes),
        "fitted": round(float(np.mean([len(fit) for fit, _ in question.folds]))),
        "scored": len(every),
        "apart": question.apart,
        "clusters": len(counts),
    }


def _predict(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, other: np.ndarray, num_classes: int
) -> np.ndarray:
    """Fit rows (N, W) and return the classes of others (M, W), shape (M,)."""
    shape = FeatureShape(num_layers=1, dim=x.shape[1], last_layer=0, input_layer=None)
    standardiser = Standardiser(shape.num_layers, shape.dim)
    standardiser.fit([x[:, None]])
    layers = [standardiser(torch.from_numpy(values[:, None])) for values in (x, other)]
    head = LogReg({LAYERS: shape}, num_classes, LogRegConfig())
    targets = torch.from_numpy(one_hot(y, num_classes))
    head.fit(of_layers(layers[0], targets=targets), groups, seed=0)
    return head.scores(of_layers(layers[1]), None).argmax(1).numpy()


def _mean(view: Tensor | Ragged) -> Tensor:
    """Return the mean over a clip's frames, or its layers, side by side, shape (B, R D)."""
    if isinstance(view, Tensor):
        return view.flatten(1)
    return (view.values.sum(1) / view.lengths.view(-1, 1, 1)).flatten(1)
