"""EmoBox (Ma et al. 2024): manifests with folds of 32 corpora, read as they are.

A corpus is a folder `data/<name>` with `<name>.jsonl`, `fold_<k>/<name>_<part>_fold_<k>.jsonl`,
`label_map.json` and `data.seg.wrd.stm`, whose tags tell the speakers. EmoBox means a random part of
train for dev where a fold has no `valid`; here dev is left to speakers of their own.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.catalogue import all_importers
from pipeline.corpora.folders import natural_order, some
from pipeline.corpora.importer import Corpus, Row
from pipeline.errors import ManifestError
from pipeline.files import read_bytes
from pipeline.manifests.manifest import FOLD, read_manifest
from pipeline.typed import typed_json

PARTS = {"train": "train", "valid": "dev", "test": "test"}
SPEAKER = re.compile(r"<id=(?P<id>.+?),(?:.*,)?spk=(?P<speaker>[^,>]+)")
LABEL_MAPS = ("label_map.json", "label_dict.json")


def read_emobox(folder: Path) -> Corpus:
    """Return the clips of one corpus of EmoBox, with its folds as columns `split.<k>`.

    Raises:
        ManifestError: If the folder is not one, or a fold names a clip that the corpus has not.
    """
    name = folder.resolve().name
    listed = folder / f"{name}.jsonl"
    if not listed.is_file():
        raise ManifestError(
            f"{listed}: no such file; name a folder of EmoBox's data, such as data/iemocap."
        )
    table = read_manifest(listed).table
    speakers, notes = _speakers(folder, name, table)
    labels, more = _labels(folder, table["emotion"])
    table = table.assign(speaker=speakers, emotion=labels)
    folds = sorted(
        (path for path in folder.glob("fold_*") if path.is_dir()),
        key=lambda path: natural_order(path.name),
    )
    for fold in folds:
        number = fold.name.removeprefix("fold_")
        table[f"{FOLD}{number}"] = _fold(fold, name, number, table["utterance_id"], listed)
        left = int((table[f"{FOLD}{number}"] == "").sum())
        if left:
            more.append(f"{left} clips are in no part of fold {number}")
    if len(folds) == 1:
        table["split"] = table.pop(f"{FOLD}{folds[0].name.removeprefix('fold_')}")
    table = table.sort_values("utterance_id", ignore_index=True)
    return Corpus(table=table, notes=[*notes, *more])


def _fold(fold: Path, name: str, number: str, ids: pd.Series, listed: Path) -> pd.Series:
    """Return the part of each clip; only the names of EmoBox's present schema are read.

    EmoDB also has `emodb_test_fold1.jsonl`, the same rows in an older schema.
    """
    split = pd.Series("", index=ids, dtype="str")
    for part, ours in PARTS.items():
        path = fold / f"{name}_{part}_fold_{number}.jsonl"
        if not path.is_file():
            continue
        keys = read_manifest(path).table["utterance_id"].tolist()
        strange = [key for key in keys if key not in split.index]
        if strange:
            raise ManifestError(
                f"{path}: names {len(strange)} clips that {listed.name} has not: {some(strange)}; "
                "fetch EmoBox again."
            )
        split[keys] = ours
    return split.reset_index(drop=True)


def _speakers(folder: Path, name: str, table: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """Return speakers as EmoBox tells them, else as the files' names do."""
    tagged = folder / "data.seg.wrd.stm"
    ids = table["utterance_id"]
    if tagged.is_file():
        found = {m["id"]: m["speaker"] for m in SPEAKER.finditer(tagged.read_text("utf-8"))}
        speakers = ids.map(found).fillna("")
    else:
        speakers = _named(name, table["path"])
    if speakers.nunique() == len(table):
        note = "every clip has a speaker of its own, which tells nothing; speakers are left empty"
        return pd.Series("", index=table.index, dtype="str"), [note]
    unknown = int((speakers == "").sum())
    return speakers, [f"{unknown} clips have no known speaker"] * bool(unknown)


def _named(name: str, paths: pd.Series) -> pd.Series:
    known = {importer.emobox: importer.describe for importer in all_importers().values()}
    describe = known.get(name)
    rows: Iterable[Row] = ((describe and describe(PurePath(path))) or {} for path in paths)
    return pd.Series([row.get("speaker", "") for row in rows], index=paths.index, dtype="str")


def _labels(folder: Path, raw: pd.Series) -> tuple[pd.Series, list[str]]:
    """Return EmoBox's names of the labels in lower case; those that its map misses as they are."""
    paths = [folder / name for name in LABEL_MAPS if (folder / name).is_file()]
    mapping = _read_labels(paths[0]) if paths else {}
    missed = sorted(set(raw) - set(mapping) - {""})
    notes = [f"{paths[0].name} misses the labels {_listed(missed)}"] if paths and missed else []
    named = {label: mapping.get(label, label).lower() for label in set(raw)}
    return raw.map(named), notes


def _read_labels(path: Path) -> dict[str, str]:
    cure = "fetch EmoBox again"
    return typed_json(dict[str, str], read_bytes(path), path, error=ManifestError, cure=cure)


def _listed(labels: Iterable[str]) -> str:
    return f"{', '.join(labels)}; they are taken as they are"
