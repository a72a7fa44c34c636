"""What a cross-validation trains on and tests, beside folds: a split as it is, pairs of corpora."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.manifest import SPLITS, Manifest
from pipeline.manifests.numbers import as_numbers
from pipeline.names import require_names

OWN_SPLIT = "split"  # the name, as a fold, of the manifest's own split


def own_split(manifest: Manifest) -> dict[str, Manifest]:
    """Return a manifest as its one fold.

    Raises:
        ManifestError: If its split has no test clips.
    """
    if not (manifest.table["split"] == SPLITS[2]).any():
        raise ManifestError(
            f"{manifest.path}: its split has no test clips to score; make one with 'genser split'."
        )
    return {OWN_SPLIT: manifest}


def pair_name(source: str, target: str) -> str:
    """Return what stands for a pair of corpora as the name of a fold."""
    return f"{source}-{target}"


def corpus_pairs(
    manifest: Manifest,
    names: pd.Series,
    splits: pd.Series,
    *,
    task: str,
    of_numbers: bool = False,
) -> Iterator[tuple[str, str, Manifest]]:
    """Yield every pair of corpora with the manifest that trains on one and tests on the other.

    Only classes that both have are used, and all numbers. The training corpus gives `train` and
    `dev` by its own split; all of the tested one is `test`.

    Args:
        manifest: Of all corpora.
        names: Class of each row, or its number in digits, "" where it has none.
        splits: The split of each row within its corpus.
        task: Label column; it is emptied where a row plays no part.
        of_numbers: Whether labels are numbers.

    Raises:
        ManifestError: If there is one corpus only, a corpus cannot name a file, two pairs would
            be called alike, or two share fewer than two classes.
    """
    corpora = sorted(set(manifest.table["corpus"]))
    if len(corpora) < 2:
        raise ManifestError(f"{manifest.path}: has the corpora {corpora}, wanted at least two.")
    require_names(f"{manifest.path}: column corpus", corpora, error=ManifestError)
    spelled = Counter(pair_name(a, b) for a in corpora for b in corpora if a != b)
    name, times = spelled.most_common(1)[0]
    if times > 1:
        raise ManifestError(
            f"{manifest.path}: {times} pairs of corpora are called {name!r}; rename one of them "
            "in the column corpus."
        )
    of_corpus = {c: set(names[manifest.table["corpus"] == c]) - {""} for c in corpora}
    for source in corpora:
        for target in corpora:
            if source == target:
                continue
            used = of_corpus[source] & of_corpus[target]
            if of_numbers:
                used = of_corpus[source] | of_corpus[target]
            elif len(used) < 2:
                raise ManifestError(
                    f"{manifest.path}: {source} and {target} share the classes {sorted(used)}, "
                    "wanted at least two; mend the label map."
                )
            corpus = manifest.table["corpus"]
            split = splits.where((corpus == source) & splits.isin(SPLITS[:2]), "")
            split = split.mask(corpus == target, "test").where(names.isin(used), "")
            labels = manifest.table[task].where(split != "", "")
            table = manifest.table.assign(**{"split": split, task: labels})
            yield source, target, replace(manifest, table=table)


def corpus_ranges(
    manifest: Manifest, names: pd.Series, *, task: str
) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest number of each corpus.

    Args:
        manifest: Of all corpora.
        names: Number of each row in digits, "" where it has none.
        task: Label column.

    Raises:
        ManifestError: If a corpus has no number, or all of one are above all of another.
    """
    corpora = manifest.table["corpus"]
    ranges = {}
    for corpus in sorted(set(corpora)):
        numbers = as_numbers(names[(corpora == corpus) & (names != "")])
        if not len(numbers):
            raise ManifestError(
                f"{manifest.path}: {corpus} has no number of {task!r}, wanted some to train on and "
                "to test; leave it out."
            )
        ranges[corpus] = (float(numbers.min()), float(numbers.max()))
    for (one, (low, high)), (other, (least, greatest)) in combinations(ranges.items(), 2):
        if high < least or greatest < low:
            raise ManifestError(
                f"{manifest.path}: {task} of {one} is from {low:g} to {high:g}, of {other} from "
                f"{least:g} to {greatest:g}, wanted one scale; rescale one of them."
            )
    return ranges
