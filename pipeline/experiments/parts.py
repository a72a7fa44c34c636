"""What a cross-validation trains on and tests, beside folds: a split as it is, pairs of corpora."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.manifest import SPLITS, Manifest
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
    manifest: Manifest, names: pd.Series, splits: pd.Series, *, task: str
) -> Iterator[tuple[str, str, Manifest]]:
    """Yield every pair of corpora with the manifest that trains on one and tests on the other.

    Only classes that both have are used. The training corpus gives `train` and `dev` by its own
    split; all of the tested one is `test`.

    Args:
        manifest: Of all corpora.
        names: Class of each row, "" where it has none.
        splits: The split of each row within its corpus.
        task: Label column; it is emptied where a row plays no part.

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
            shared = of_corpus[source] & of_corpus[target]
            if source == target:
                continue
            if len(shared) < 2:
                raise ManifestError(
                    f"{manifest.path}: {source} and {target} share the classes {sorted(shared)}, "
                    "wanted at least two; mend the label map."
                )
            corpus = manifest.table["corpus"]
            split = splits.where((corpus == source) & splits.isin(SPLITS[:2]), "")
            split = split.mask(corpus == target, "test").where(names.isin(shared), "")
            labels = manifest.table[task].where(split != "", "")
            table = manifest.table.assign(**{"split": split, task: labels})
            yield source, target, replace(manifest, table=table)
