"""The tables of the study of discrete tokens (arXiv 2601.17085), from a cross-validation.

What belongs together is found by what `systems.csv` says of each system (input, layers, K, fusion,
acoustics), never by names. Two systems that differ in their input alone, codes against frames of
the same layers, are twins: what the one of codes gets less is what quantisation costs. Scores are
of test rows; the layer that others are compared with is chosen by dev.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.bootstrap import SCORES, ends, mean_intervals
from pipeline.evaluation.columns import clusters_of
from pipeline.evaluation.paired import Paired
from pipeline.experiments.system_files import NONE
from pipeline.store.views import CODES, FRAMES

SCORE = "macro_f1"  # the measure of the paper
ATTENTION = "attention."  # a head's columns of how much each layer counts, by position
BLOCK = ("head", "encoder", "num_codes", "embedding")  # within which T2 compares
K_MEANS, CODEC, CONTINUOUS = "k-means", "codec", "continuous"

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TokenStudy:
    """The tables, each empty where the cross-validation has nothing for it.

    Attributes:
        systems: Every system with its facts, `family`, its scores on test, and `dev_macro_f1`.
        layers: T1, each system of k-means codes beside its twin of frames, with the relative drop.
        fusion: T2, several layers and acoustics beside the best single layer of codes.
        codecs: T3, each kind of tokens alone and with acoustics.
        attention: T4, how much each layer counts.
        num_clusters: That intervals resample.
    """

    systems: pd.DataFrame
    layers: pd.DataFrame
    fusion: pd.DataFrame
    codecs: pd.DataFrame
    attention: pd.DataFrame
    num_clusters: int

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that have rows, by name."""
        names = ("systems", "layers", "fusion", "codecs", "attention")
        found = {name: getattr(self, name) for name in names}
        return {name: table for name, table in found.items() if len(table)}


def rows_of(table: pd.DataFrame) -> list[Row]:
    """Return the rows of a table as mappings from column to cell."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def has_tokens(systems: pd.DataFrame) -> bool:
    """Say whether any system reads codes as they are."""
    return bool((systems["input"] == CODES).any())


def study_tokens(
    predictions: pd.DataFrame, systems: pd.DataFrame, dev: Mapping[str, float], *, cluster: str
) -> TokenStudy:
    """Return every table of the study.

    Args:
        predictions: The tested rows of all runs, as `pipeline.evaluation.columns` has them, and a
            head's columns `attention.<position>`.
        systems: `systems.csv`.
        dev: Macro-F1 on dev of each system, as far as it is known.
        cluster: What intervals resample.

    Raises:
        PredictionsError: If systems were not scored on the same clips.
    """
    paired = Paired(predictions, cluster=cluster)
    known = systems[systems["system"].isin(paired.systems)].reset_index(drop=True)
    scores = [
        {
            key: value
            for score in SCORES
            for key, value in ends(score, paired.score(name, score)).items()
        }
        for name in known["system"]
    ]
    facts = known.assign(
        family=_families(known),
        dev_macro_f1=known["system"].map(dict(dev)).astype("float64"),
        **pd.DataFrame(scores, index=known.index),
    )
    rows = rows_of(facts)
    return TokenStudy(
        systems=facts,
        layers=pd.DataFrame(_by_layer(rows, paired)),
        fusion=pd.DataFrame(_by_fusion(rows, paired)),
        codecs=pd.DataFrame(_by_tokens(rows, paired)),
        attention=pd.DataFrame(_attention(predictions, rows, cluster)),
        num_clusters=paired.num_clusters,
    )


def _families(systems: pd.DataFrame) -> np.ndarray:
    is_codes, is_frames = systems["input"] == CODES, systems["input"] == FRAMES
    is_codec = is_codes & (systems["source"] == "audio")
    return np.select([is_codec, is_codes, is_frames], [CODEC, K_MEANS, CONTINUOUS], "")


def _reads(row: Row) -> tuple[Any, ...]:
    """Return what a system reads and how it joins it, but for codes or frames and acoustics."""
    # One layer is joined with nothing.
    joins = (row["fusion"], row["fuse_at"]) if row["codebooks"] > 1 else ()
    return row["head"], row["encoder"], row["layers"], joins


def _twin(row: Row, rows: Sequence[Row]) -> Row | None:
    """Return the system of frames that reads the same otherwise."""
    for other in rows:
        same = _reads(other) == _reads(row) and other["acoustics"] == row["acoustics"]
        if other["input"] == FRAMES and same:
            return other
    return None


def _by_layer(rows: Sequence[Row], paired: Paired) -> list[dict[str, Any]]:
    told = []
    for row in rows:
        if row["family"] != K_MEANS or row["acoustics"]:
            continue
        twin, name = _twin(row, rows), row["system"]
        whole = None if twin is None else twin["system"]
        told.append(
            {
                **_shown(row, "head", "encoder", "layers", "fusion", "num_codes", "embedding"),
                "codes": name,
                "frames": whole or "",
                **ends("codes_macro_f1", paired.score(name, SCORE)),
                **ends("frames_macro_f1", paired.score(whole, SCORE) if whole else None),
                **ends("difference", paired.difference(name, whole, SCORE) if whole else None),
                **ends("drop", paired.relative_drop(whole, name, SCORE) if whole else None),
                **_shown(row, "frames_per_s", "bits_per_s", "bytes_per_s", "dev_macro_f1"),
            }
        )
    return told


def _by_fusion(rows: Sequence[Row], paired: Paired) -> list[dict[str, Any]]:
    told = []
    blocks = {tuple(row[key] for key in BLOCK): row for row in rows if row["family"] == K_MEANS}
    for block in blocks.values():
        mine = [row for row in rows if _is_of(block, row)]
        rich = [row for row in mine if row["acoustics"] or row["codebooks"] > 1]
        if not any(row["family"] == K_MEANS for row in rich):
            continue
        best = _best_layer(mine)
        whole = None if best is None else _twin(best, mine)
        plain = [row for row in (best, whole) if row is not None]
        told += [_beside(row, block, best, whole, paired) for row in (*plain, *rich)]
    return told


def _is_of(block: Row, row: Row) -> bool:
    """Say whether a system is compared within a block: of its codes, of frames, or acoustics."""
    shared = {NONE: 1, FRAMES: 2}.get(row["input"], len(BLOCK))
    keys = BLOCK[:shared]
    return row["family"] != CODEC and all(row[key] == block[key] for key in keys)


def _best_layer(rows: Sequence[Row]) -> Row | None:
    """Return the single layer of codes that is best on dev; None where dev is not known of all."""
    single = [
        row
        for row in rows
        if row["family"] == K_MEANS and row["codebooks"] == 1 and not row["acoustics"]
    ]
    if not single or any(math.isnan(row["dev_macro_f1"]) for row in single):
        return None
    return max(single, key=lambda row: row["dev_macro_f1"])


def _beside(
    row: Row, block: Row, best: Row | None, whole: Row | None, paired: Paired
) -> dict[str, Any]:
    """Return a row of T2: a system beside the best single layer of codes, and that one's twin."""
    name = row["system"]
    low = None if best is None else best["system"]
    high = None if whole is None else whole["system"]
    return {
        **_shown(block, "head", "encoder", "num_codes", "embedding"),
        "system": name,
        **_shown(row, "input", "layers", "fusion", "fuse_at", "acoustics"),
        "is_reference": low == name,
        "reference": low or "",
        **ends(SCORE, paired.score(name, SCORE)),
        **ends("difference", paired.difference(name, low, SCORE) if low else None),
        **ends("gap", paired.difference(high, low, SCORE) if low and high else None),
        **ends("closed", paired.share_closed(name, low, high, SCORE) if low and high else None),
        **_shown(row, "bits_per_s", "bytes_per_s", "dev_macro_f1"),
    }


def _by_tokens(rows: Sequence[Row], paired: Paired) -> list[dict[str, Any]]:
    told = []
    for row in rows:
        if row["input"] != CODES or row["acoustics"]:
            continue
        joined = next((other for other in rows if _is_joined(other, row)), None)
        # Of k-means only what was tried with acoustics: T1 has the others.
        if joined is None and row["family"] != CODEC:
            continue
        name, both = row["system"], None if joined is None else joined["system"]
        facts = ("family", "encoder", "layers", "codebooks", "num_codes", "fusion", "embedding")
        told.append(
            {
                **_shown(row, *facts),
                "alone": name,
                "with_acoustics": both or "",
                **ends("alone_macro_f1", paired.score(name, SCORE)),
                **ends("with_macro_f1", paired.score(both, SCORE) if both else None),
                **ends("gain", paired.difference(both, name, SCORE) if both else None),
                **_shown(row, "frames_per_s", "bits_per_s", "bytes_per_s", "dev_macro_f1"),
            }
        )
    return told


def _is_joined(other: Row, row: Row) -> bool:
    """Say whether a system is another one with acoustics beside."""
    same = all(other[key] == row[key] for key in ("input", "source", "num_codes", "embedding"))
    return bool(same and other["acoustics"] and _reads(other) == _reads(row))


def _attention(
    predictions: pd.DataFrame, rows: Sequence[Row], cluster: str
) -> list[dict[str, Any]]:
    columns = [name for name in predictions.columns if name.startswith(ATTENTION)]
    told: list[dict[str, Any]] = []
    for row in rows:
        mine = predictions[predictions["system"] == row["system"]]
        own = [name for name in columns if mine[name].notna().any()]
        mine = mine[mine[own].notna().all(axis=1)]
        if not own or mine.empty:
            continue
        layers = dict(zip(row["positions"].split(), row["layers"].split(), strict=True))
        values = mine[own].to_numpy(dtype=np.float64)
        for name, found in zip(
            own, mean_intervals(values, clusters_of(mine, cluster).tolist()), strict=True
        ):
            position = name.removeprefix(ATTENTION)
            told.append(
                {
                    **_shown(row, "system", "input", "encoder", "num_codes", "acoustics"),
                    "layer": layers.get(position, position),
                    **ends("attention", found),
                    "even": 1 / len(own),
                }
            )
    return told


def _shown(row: Row, *names: str) -> dict[str, Any]:
    return {name: row[name] for name in names}
