"""The pictures of the study of discrete tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.experiments.token_study import CODEC, CONTINUOUS, K_MEANS, Row, TokenStudy, rows_of
from pipeline.figures.lines import MOST_LINES, draw_scores
from pipeline.figures.tokens import draw_gains, draw_rates
from pipeline.report.page import Picture

MACRO_F1 = "macro F1 on test"
MOST_BARS = 40


def draw_study(out: Path, stem: str, study: TokenStudy) -> Mapping[str, Sequence[Picture]]:
    """Draw what the study has: by name the pictures of layers, fusion, rates and attention.

    Args:
        out: The report's folder.
        stem: What the files' names begin with.
        study: The study.

    Raises:
        OutputError: If a file cannot be written.
    """
    return {
        "layers": _layers(out, stem, study.layers),
        "fusion": _gains(out, stem, study.fusion),
        "rates": _rates(out, stem, study.systems),
        "attention": _attention(out, stem, study.attention),
    }


def _layers(out: Path, stem: str, table: pd.DataFrame) -> list[Picture]:
    pictures = []
    single = table[~table["layers"].str.contains(" ")] if len(table) else table
    blocks = single.groupby(["head", "encoder", "embedding"], sort=False) if len(single) else ()
    for number, ((head, encoder, embedding), mine) in enumerate(blocks, start=1):
        mine = mine.assign(x=mine["layers"].astype("int64")).sort_values("x", kind="stable")
        lines = {}
        whole = mine[mine["frames"] != ""].drop_duplicates("x")
        if len(whole):
            lines["frames"] = _line(whole, "frames_macro_f1")
        for size, part in sorted(mine.groupby("num_codes")):
            lines[f"K = {size:.0f}"] = _line(part, "codes_macro_f1")
        path = out / f"{stem}_layers_{number}.png"
        what = " ".join(str(one) for one in (head, embedding) if one)
        draw_scores(
            path,
            lines,
            title=f"Codes against frames, layer by layer: {what} on {encoder or 'a table'}",
            xlabel="layer of the encoder",
            ylabel=MACRO_F1,
        )
        caption = "Frames and their codes by layer and number of centroids, with 95 % intervals."
        pictures.append(Picture(caption=caption, path=path))
    return pictures


def _line(table: pd.DataFrame, score: str) -> pd.DataFrame:
    columns = {score: "value", f"{score}_low": "low", f"{score}_high": "high"}
    return table[["x", *columns]].rename(columns=columns)


def _gains(out: Path, stem: str, table: pd.DataFrame) -> list[Picture]:
    pictures = []
    known = table[table["reference"] != ""] if len(table) else table
    blocks = known.groupby(["head", "encoder", "reference"], sort=False) if len(known) else ()
    for number, ((head, _, reference), block) in enumerate(blocks, start=1):
        mine = block[~block["is_reference"]].copy()
        mine["group"] = mine["input"].replace({"none": "acoustics alone"})
        mine = pd.concat([part for _, part in mine.groupby("group")]).head(MOST_BARS)
        bars = pd.DataFrame(
            {
                "name": mine["system"],
                "value": mine["difference"],
                "low": mine["difference_low"],
                "high": mine["difference_high"],
                "group": mine["group"],
                "hatched": mine["acoustics"] & (mine["group"] != "acoustics alone"),
                "note": [f"{100 * v:.0f} %" if np.isfinite(v) else "" for v in mine["closed"]],
            }
        )
        gap = float(block["gap"].iloc[0])
        path = out / f"{stem}_fusion_{number}.png"
        draw_gains(
            path,
            bars,
            title=f"What fusion and acoustics win back: {head}, beside {reference}",
            xlabel=f"macro F1 more than {reference}, test",
            gap=gap if gap > 0 else None,
        )
        caption = (
            f"Paired differences to {reference}, the best single layer of codes on dev, with 95 % "
            "intervals; behind the bars the part of the gap between it and its frames that is "
            "closed" + (", drawn dashed." if gap > 0 else "; here is no gap above 0.")
        )
        pictures.append(Picture(caption=caption, path=path))
    return pictures


def _rates(out: Path, stem: str, systems: pd.DataFrame) -> list[Picture]:
    groups = {K_MEANS: "k-means codes", CODEC: "codec", CONTINUOUS: "frames"}
    mine = systems[systems["family"].isin(groups) & (systems["bits_per_s"] > 0)].copy()
    if mine.empty:
        return []
    mine["group"] = mine["family"].map(groups) + np.where(mine["acoustics"], ", acoustics", "")
    # Of the systems that read as much in one way, the one at the top is labelled.
    mine["label"] = [_what(row) for row in rows_of(mine)]
    tops = mine.groupby(["group", "label", mine["bits_per_s"].round(3)])["macro_f1"].idxmax()
    mine["label"] = mine["label"].where(mine.index.isin(tops), "")
    points = pd.DataFrame(
        {
            "rate": mine["bits_per_s"],
            "value": mine["macro_f1"],
            "low": mine["macro_f1_low"],
            "high": mine["macro_f1_high"],
            "group": mine["group"],
            "hollow": mine["acoustics"],
            "label": mine["label"],
        }
    )
    path = out / f"{stem}_rates.png"
    draw_rates(path, points, title="Accuracy over bit rate", ylabel=MACRO_F1)
    caption = (
        "Every system of tokens or frames, with 95 % intervals; hollow: acoustics beside, whose "
        "bits count. Labels: what is read, at the highest of each kind and rate."
    )
    return [Picture(caption=caption, path=path)]


def _what(row: Row) -> str:
    """Return what a system reads, short enough for a label."""
    books = int(row["codebooks"])
    if row["family"] == CONTINUOUS:
        return "1 layer" if books == 1 else f"{books} layers"
    size = f"{row['num_codes']:.0f}"
    family = str(row["encoder"]).partition(":")[0] + " " if row["family"] == CODEC else ""
    return f"{family}K {size}" if books == 1 else f"{family}{books} x {size}"


def _attention(out: Path, stem: str, table: pd.DataFrame) -> list[Picture]:
    if table.empty:
        return []
    lines = {}
    for system, mine in list(table.groupby("system", sort=False))[:MOST_LINES]:
        columns = {
            "layer": "x",
            "attention": "value",
            "attention_low": "low",
            "attention_high": "high",
        }
        lines[str(system)] = mine[list(columns)].rename(columns=columns)
    path = out / f"{stem}_attention.png"
    draw_scores(
        path, lines, title="Attention over layers", xlabel="layer", ylabel="mean attention on test"
    )
    caption = (
        "How much each layer counts, mean over clips with 95 % intervals; "
        f"{MOST_LINES} systems at most."
    )
    return [Picture(caption=caption, path=path)]
