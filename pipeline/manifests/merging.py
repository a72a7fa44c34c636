"""Several manifests into one."""

from collections.abc import Sequence

import pandas as pd

from pipeline.errors import ManifestError, first_ten
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.numbers import is_number


def merge_manifests(
    manifests: Sequence[Manifest], *, task: str, label_map: LabelMap | None
) -> pd.DataFrame:
    """Return the rows of several manifests, one after another.

    Ids that occur in several corpora are prefixed with `corpus/`; `store_id` keeps what they are
    called in their store. A column that a manifest lacks is empty in its rows. Labels stay raw.

    Raises:
        ManifestError: If a row has no corpus, a label is not in the map, or two rows of one corpus
            have one id.
    """
    for manifest in manifests:
        nameless = int((manifest.table["corpus"] == "").sum())
        if nameless:
            raise ManifestError(
                f"{manifest.path}: {nameless} rows have no corpus, wanted a name in each; stores "
                "and speakers are told apart by it."
            )
        if task not in manifest.table.columns:
            raise ManifestError(
                f"{manifest.path}: has no label column {task!r}, only {manifest.tasks}; choose "
                "another with --task."
            )
    table = pd.concat([manifest.table for manifest in manifests], ignore_index=True)
    texts = [c for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    table = table.fillna(dict.fromkeys(texts, ""))
    if label_map is not None:
        _require_known_labels(table, task, label_map)
    return table.assign(**_distinct_ids(table))


def _require_known_labels(table: pd.DataFrame, task: str, label_map: LabelMap) -> None:
    known = table[task].isin({"", *label_map.mapping, *label_map.drop})
    known |= (
        table[task].map(is_number) if label_map.numbers else table[task].isin(label_map.classes)
    )
    strange = table[~known]
    if strange.empty:
        return
    counts = strange.groupby([task, "corpus"], as_index=False).size()
    rows = zip(counts[task], counts["corpus"], counts["size"], strict=True)
    lines = [f"{label!r} of {corpus}: {n} rows" for label, corpus, n in rows]
    head = f"{len(lines)} labels of {task!r} are not in the label map; map or drop them:"
    raise ManifestError("\n  ".join([head, *first_ten(lines)]))


def _distinct_ids(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the columns utterance_id and store_id of rows whose ids may collide."""
    ids = table["utterance_id"]
    stored = table["store_id"].where(table["store_id"] != "", ids)
    merged = ids.where(~ids.duplicated(keep=False), table["corpus"] + "/" + ids)
    repeated = merged[merged.duplicated()]
    if len(repeated):
        raise ManifestError(
            f"{len(repeated)} utterances are there twice, e.g. {repeated.iloc[0]!r}; the same "
            "corpus is in two of the manifests."
        )
    return {"utterance_id": merged, "store_id": stored.where(stored != merged, "")}
