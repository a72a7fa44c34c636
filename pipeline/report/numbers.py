"""The parts of a report on predictions that are numbers: scores, comparisons, and scatters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.concordance import CCC, NUMBER_SCORES, PEARSON, RMSE
from pipeline.evaluation.number_standings import (
    NumberComparison,
    NumberStanding,
    NumberStandings,
)
from pipeline.figures.scatter import draw_scatter
from pipeline.report.page import Picture, Section, Table
from pipeline.report.tables import few_note, interval_text

NUMBER_NAMES = {CCC: "CCC", PEARSON: "Pearson", RMSE: "RMSE"}


def intervals_of(one: NumberStanding) -> dict[str, Any]:
    """Return the intervals of a system, for JSON."""
    return {
        "interval": {name: [found.low, found.high] for name, found in one.scores.items()},
        "num_clusters": one.scores[CCC].num_clusters,
    }


def number_figures(one: NumberStanding) -> list[tuple[str, str, str]]:
    """Return the figures at the head of the page."""
    shown = [
        (
            label,
            f"{one.scores[name].value:.3f}",
            f"95 %: {one.scores[name].low:.3f} to {one.scores[name].high:.3f}",
        )
        for name, label in ((CCC, "CCC, concordance"), (RMSE, "RMSE"))
    ]
    return [*shown, ("Always the mean (RMSE)", f"{one.label_sd:.3f}", f"{one.num_clips} clips")]


def number_sections(
    folder: Path,
    table: pd.DataFrame,
    found: NumberStandings,
    *,
    drawn: Sequence[str],
    cluster: str,
    split: str,
) -> list[Section]:
    """Return what the systems reach, and draw each one's predictions over the labels.

    Args:
        folder: Of the report.
        table: Of all systems.
        found: Their standings.
        drawn: The systems that get a picture.
        cluster: What intervals resample.
        split: What is measured.
    """
    pictures = []
    for one in found.overall:
        if one.system not in drawn:
            continue
        mine = table[table["system"] == one.system]
        path = folder / f"scatter_{one.system}.png"
        ccc, rmse = (one.scores[name].value for name in (CCC, RMSE))
        draw_scatter(
            path,
            mine["label"].to_numpy(),
            mine["predicted"].to_numpy(),
            title=f"{one.system} on {split}",
            scores=f"CCC {ccc:.3f}   RMSE {rmse:.3f}   n = {one.num_clips}",
        )
        pictures.append(Picture(caption=f"{one.system}: a point is a clip.", path=path))
    comparisons = [_comparison_table(found.first.system, found.comparisons)]
    corpora = [_table(found.by_corpus, caption="Each corpus alone.", with_corpus=True)]
    num = found.first.scores[CCC].num_clusters
    caption = (
        f"{found.first.num_clips} clips. In brackets 95 % intervals, from a bootstrap that "
        f"resamples {num} {cluster}s.{few_note(num)}"
    )
    return [
        Section(
            title="Scores",
            texts=[
                "CCC, Lin's concordance, is 1 where every prediction is the label and 0 for always "
                "the same number; Pearson's correlation forgives another mean and another spread. "
                "RMSE is the error in the units of the labels; lower is better."
            ],
            tables=[
                _table(found.overall, caption=caption, with_corpus=False),
                *(comparisons if found.comparisons else []),
                *(corpora if found.by_corpus else []),
            ],
            pictures=pictures,
        )
    ]


def _table(standings: Sequence[NumberStanding], *, caption: str, with_corpus: bool) -> Table:
    rows = []
    for one in standings:
        scores = {NUMBER_NAMES[name]: interval_text(one.scores[name]) for name in NUMBER_SCORES}
        row = {"system": one.system, **scores}
        if one.num_seeds > 1:
            row["CCC sd over seeds"] = f"{one.seed_sd:.3f}"
        if with_corpus:
            row = {"corpus": one.corpus, **row, "always the mean": f"{one.label_sd:.3f}"}
            row["clips"] = str(one.num_clips)
        rows.append(row)
    if not with_corpus:
        mean = {"CCC": "0.000", "Pearson": "0.000", "RMSE": f"{standings[0].label_sd:.3f}"}
        rows.append({"system": "always the mean", **mean})
    strong = [] if with_corpus else [standings[0].system]
    return Table(caption=caption, frame=pd.DataFrame(rows).fillna(""), strong=strong)


def _comparison_table(first: str, found: Mapping[str, NumberComparison]) -> Table:
    rows = [
        {
            f"{first} against": other,
            **{
                f"{label} difference": f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}]"
                for label, d in (("CCC", one.difference), ("RMSE", one.rmse))
            },
            "verdict": one.verdict,
        }
        for other, one in found.items()
    ]
    margin = next((one.margin for one in found.values()), 0.0)
    return Table(
        caption="Paired on the same clips, the same clusters resampled for both. By CCC; better: "
        f"the interval lies above 0. Not inferior: above {-margin:+.3f}.",
        frame=pd.DataFrame(rows),
    )


def readable_standings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the standings that `genser crossval` wrote of numbers, as texts."""
    rows = []
    for row in frame.to_dict("records"):
        cells = {"system": row["system"]}
        if isinstance(row["corpus"], str):
            cells["system"] += f", {row['corpus']}"
        for name, label in NUMBER_NAMES.items():
            ends = f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
            cells[label] = f"{row[name]:.3f} {ends}"
        if "ccc_fold_mean" in row:
            cells["CCC over folds"] = f"{row['ccc_fold_mean']:.3f} ± {row['ccc_fold_sd']:.3f}"
        if np.isfinite(row["ccc_seed_sd"]):
            cells["CCC sd over seeds"] = f"{row['ccc_seed_sd']:.3f}"
        cells["always the mean (RMSE)"] = f"{row['label_sd']:.3f}"
        cells |= {"clips": str(row["clips"]), "speakers": str(row["clusters"])}
        rows.append(cells)
    return pd.DataFrame(rows).fillna("")


def readable_comparisons(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the comparisons that `genser crossval` wrote of numbers, as texts."""

    def told(name: str) -> list[str]:
        columns = [f"{name}_difference{end}" for end in ("", "_low", "_high")]
        cells = frame[columns].to_numpy()
        return [f"{value:+.3f} [{low:+.3f}, {high:+.3f}]" for value, low, high in cells]

    return pd.DataFrame(
        {
            "systems": frame["first"] + " against " + frame["second"],
            "CCC difference": told(CCC),
            "RMSE difference": told(RMSE),
            "verdict": frame["verdict"],
        }
    )
