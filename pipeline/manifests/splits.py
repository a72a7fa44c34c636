"""Splits and folds that share no speaker."""

import itertools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.descriptors import without_self_made
from pipeline.manifests.manifest import FOLD, SPLITS, speaker_names

SHOWN = 3
NUM_DEALS = 200  # of speakers, that are tried for parts that have every class


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Folds of a manifest.

    Attributes:
        columns: One column `split.<k>` for each fold, k from 1: train, dev or test of each row.
        tested: For each fold, the groups that it tests on.
    """

    columns: pd.DataFrame
    tested: list[list[str]]


def assign_splits(
    table: pd.DataFrame,
    labels: pd.Series | None = None,
    *,
    dev_fraction: float,
    test_fraction: float,
    seed: int,
) -> pd.Series:
    """Give each speaker to train, dev or test, by gender where each has three speakers.

    Where that leaves a part of a corpus without one of its classes, other deals are tried, and the
    first that leaves out fewest is taken.

    Args:
        table: Columns corpus, speaker and, if known, gender.
        labels: Class of each row, "" where it has none; None looks at no classes.
        dev_fraction: Part of each gender's speakers for dev, at least one.
        test_fraction: The same for test.
        seed: Seed of the shuffles.

    Returns:
        The split of each row, "" for rows without a speaker.

    Raises:
        ManifestError: If a corpus has fewer than three speakers.
    """
    known = table[table["speaker"] != ""]
    gender = known["gender"] if "gender" in known.columns else pd.Series("", index=known.index)
    keys = pd.DataFrame({"corpus": known["corpus"], "gender": gender, "speaker": known["speaker"]})
    keys = keys.drop_duplicates(["corpus", "speaker"])
    generator = np.random.default_rng(seed)
    parts: dict[tuple[str, str], str] = {}
    for corpus, of_corpus in keys.groupby("corpus"):
        if of_corpus["gender"].value_counts().min() < len(SPLITS):
            of_corpus = of_corpus.assign(gender="")
        groups = [sorted(group["speaker"]) for _, group in of_corpus.groupby("gender")]
        dealt = _dealt(str(corpus), groups, dev_fraction, test_fraction, generator)
        if labels is not None:
            mine = known["corpus"] == corpus
            has = pd.crosstab(known["speaker"][mine], labels[known.index][mine]) > 0
            has = has.drop(columns="", errors="ignore")
            deals = (
                _dealt(str(corpus), groups, dev_fraction, test_fraction, again)
                for again in (np.random.default_rng([seed, n]) for n in range(1, NUM_DEALS))
            )
            dealt = _with_most_classes(itertools.chain([dealt], deals), has)
        parts |= {(str(corpus), speaker): part for speaker, part in dealt.items()}
    pairs = zip(table["corpus"], table["speaker"], strict=True)
    return pd.Series([parts.get(pair, "") for pair in pairs], index=table.index, dtype="str")


def _dealt(
    corpus: str,
    groups: Sequence[Sequence[str]],
    dev_fraction: float,
    test_fraction: float,
    generator: np.random.Generator,
) -> dict[str, str]:
    """Deal the speakers of each group out, and return each one's part."""
    parts = {}
    for group in groups:
        if len(group) < len(SPLITS):
            raise ManifestError(
                f"corpus {corpus!r}: {len(group)} speakers, wanted at least 3 for train, dev and "
                "test without a shared speaker; merge it with another corpus, or write the split "
                "column yourself."
            )
        speakers = np.array(group, dtype=object)
        generator.shuffle(speakers)
        # Rounding up both must not leave train without a speaker.
        num_dev = min(max(1, round(dev_fraction * len(speakers))), len(speakers) - 2)
        most = len(speakers) - num_dev - 1
        num_test = min(max(1, round(test_fraction * len(speakers))), most)
        for i, speaker in enumerate(speakers):
            part = "dev" if i < num_dev else "test" if i < num_dev + num_test else "train"
            parts[speaker] = part
    return parts


def _with_most_classes(deals: Iterable[dict[str, str]], has: pd.DataFrame) -> dict[str, str]:
    """Return the first deal that leaves fewest classes out of parts.

    Args:
        deals: The part of each speaker.
        has: Whether a speaker (row) has a class (column).
    """
    # A class of two speakers is out of a part whoever deals.
    least = int(np.maximum(len(SPLITS) - has.to_numpy().sum(0), 0).sum())
    best, fewest = {}, None
    for dealt in deals:
        of_speaker = has.index.map(dealt)
        num = sum(int((~has[of_speaker == part].any()).sum()) for part in SPLITS)
        if fewest is None or num < fewest:
            best, fewest = dealt, num
        if fewest == least:
            break
    return best


def make_folds(
    table: pd.DataFrame,
    labels: pd.Series,
    *,
    by: str,
    num_folds: int | None,
    dev_fraction: float,
    seed: int,
) -> Folds:
    """Make folds that share no group, each with a dev part that shares no speaker.

    Args:
        table: A manifest's columns.
        labels: Class of each row, "" where it has none; folds are balanced by class.
        by: Column whose values are the groups; `speaker` means the pair of corpus and speaker.
        num_folds: Folds; None leaves out one group at a time.
        dev_fraction: Part of the rows outside test that dev gets, at least one speaker.
        seed: Seed of the shuffles.

    Raises:
        ManifestError: If a row has no group or no speaker, or groups or speakers are too few.
    """
    groups, speakers = _groups(table, by), _groups(table, "speaker")
    names = sorted(set(groups))
    wanted = num_folds or 2
    if len(names) < wanted:
        raise ManifestError(
            f"{len(names)} groups by {by!r} ({', '.join(names[:SHOWN])}), wanted at least {wanted} "
            "for as many folds; ask for fewer, or by another column."
        )
    if num_folds is None:
        tests = [(groups == name).to_numpy() for name in names]
    else:
        tests = _balanced(groups, labels, num_folds, seed)
    columns = {}
    for number, is_test in enumerate(tests, start=1):
        split = pd.Series(np.where(is_test, "test", "train"), index=table.index, dtype="str")
        columns[f"{FOLD}{number}"] = carve_dev(
            split, speakers, labels, dev_fraction=dev_fraction, seed=seed
        )
    tested = [sorted(set(groups[is_test])) for is_test in tests]
    return Folds(columns=pd.DataFrame(columns), tested=tested)


def carve_dev(
    split: pd.Series, speakers: pd.Series, labels: pd.Series, *, dev_fraction: float, seed: int
) -> pd.Series:
    """Return a split whose train part gives some of its speakers to dev, balanced by class.

    Raises:
        ManifestError: If train has fewer than two speakers.
    """
    train = np.flatnonzero((split == "train").to_numpy())
    of_train = speakers.iloc[train]
    found = of_train.nunique()
    if found < 2:
        raise ManifestError(
            f"{found} speakers are left to train on, wanted at least 2 so that dev has one of its "
            "own; merge this corpus with another one."
        )
    num_parts = min(found, max(2, round(1 / dev_fraction)))
    is_dev = _balanced(of_train, labels.iloc[train], num_parts, seed)[0]
    result = split.copy()
    result.iloc[train[is_dev]] = "dev"
    return result


def official_split(
    table: pd.DataFrame, labels: pd.Series, *, dev_fraction: float, seed: int
) -> pd.Series:
    """Return the owners' split; where it has no dev part, train gives some speakers to it.

    Raises:
        ManifestError: If no row has one, or train has too few speakers to give.
    """
    split = table["official"]
    if not (split != "").any():
        raise ManifestError("the column 'official' is empty: the owners give no split.")
    if (split == "dev").any() or not (split == "train").any():
        return split
    return carve_dev(split, _groups(table, "speaker"), labels, dev_fraction=dev_fraction, seed=seed)


def with_splits(table: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest's columns with a new `split`, or new folds, in place of all old ones.

    Descriptors that were made from what the old ones train on go with them.
    """
    old = [name for name in table.columns if name.startswith(FOLD)]
    return (
        without_self_made(table)
        .drop(columns=old)
        .assign(split="")
        .assign(**{str(name): column for name, column in new.items()})
    )


def _groups(table: pd.DataFrame, by: str) -> pd.Series:
    if by not in table.columns:
        raise ManifestError(f"found no column {by!r}, only {list(table.columns)}; name another.")
    empty = int((table[by] == "").sum())
    if empty:
        raise ManifestError(
            f"{empty} of {len(table)} rows have no {by}, wanted one in each row; fill the column, "
            "or drop the rows."
        )
    return speaker_names(table) if by == "speaker" else table[by]


def _balanced(groups: pd.Series, labels: pd.Series, num_folds: int, seed: int) -> list[np.ndarray]:
    """Return which rows each fold tests on, by scikit-learn's StratifiedGroupKFold."""
    from sklearn.model_selection import StratifiedGroupKFold

    # Sorted, so that the order of the manifest's rows does not matter.
    order = np.lexsort((labels.to_numpy(dtype="U"), groups.to_numpy(dtype="U")))
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    ordered = groups.to_numpy(dtype="U")[order]
    _, classes = np.unique(labels.to_numpy(dtype="U")[order], return_inverse=True)
    with warnings.catch_warnings():
        # Classes with fewer clips than folds are spread as far as they go.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        try:
            parts = [test for _, test in splitter.split(ordered, classes, ordered)]
        except ValueError as error:
            raise ManifestError(
                f"{num_folds} folds: every class has fewer clips than that; ask for fewer."
            ) from error
    tests = []
    for part in parts:
        is_test = np.zeros(len(groups), dtype=bool)
        is_test[order[part]] = True
        tests.append(is_test)
    return tests
