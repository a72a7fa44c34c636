"""What every system of a cross-validation takes, and what it gets for it: a table and a picture."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.experiments.compared import MEASURES
from pipeline.experiments.costs import COSTS
from pipeline.experiments.token_study import rows_of
from pipeline.figures.tokens import draw_rates
from pipeline.manifests.tables import read_csv
from pipeline.report.emoq_cells import UNKNOWN, read_cells
from pipeline.report.page import Picture, Section, Table
from pipeline.report.tables import NAMES
from pipeline.report.token_cells import interval


def read_seconds(folder: Path) -> tuple[dict[str, float], list[str]]:
    """Return the seconds of scoring a clip of each system, and the devices it was done on.

    Raises:
        OSError, ValueError, KeyError: If `costs.csv` is not what `genser crossval` writes.
    """
    costs = read_csv(folder / COSTS, keep_default_na=False, na_values=[""])
    seconds = dict(zip(costs["system"].astype("str"), costs["seconds_per_clip"], strict=True))
    return seconds, sorted(set(costs["device"].dropna().astype("str")))


def cost_section(
    out: Path,
    name: str,
    systems: pd.DataFrame,
    reference: str,
    *,
    devices: Sequence[str],
    note: str,
) -> Section:
    """Return every system with what it takes and what it gets for it.

    Args:
        out: The report's folder, for the picture.
        name: Of the cross-validation.
        systems: Facts, `seconds_per_clip`, scores, and differences to the reference.
        reference: The system that others are compared with.
        devices: On which seconds were measured.
        note: On the intervals.
    """
    where = f", on {', '.join(devices)}" if devices else ""
    return Section(
        title=f"{name}: does the language model earn its cost",
        texts=[
            "Parameters are those of the head with its frozen language model; trained are its "
            f"own. Seconds are from stored features to scores{where}. Neither counts the "
            "encoder that made the features, or the recogniser that wrote the texts."
        ],
        tables=[
            Table(
                caption=f"Every system.{note}",
                frame=cost_cells(rows_of(systems), reference),
                strong=[reference],
            )
        ],
        pictures=_costs(out, name, systems),
    )


def cost_cells(systems: Sequence[Mapping[str, Any]], reference: str) -> pd.DataFrame:
    """Return every system with what it takes and what it gets for it."""
    rows = []
    for row in systems:
        beside = f" + {row['beside']}" * bool(row["beside"])
        gain = interval(row, "ua_difference", signed=True)
        rows.append(
            {
                "system": row["system"],
                "head": str(row["head"]) or UNKNOWN,
                "reads": f"{row['input']}{beside}" or UNKNOWN,
                **read_cells(row),
                "parameters": _count(row["num_parameters"]),
                "trained": _count(row["num_trained"]),
                "seconds a clip": _seconds(row["seconds_per_clip"]),
                **{NAMES[score]: interval(row, score) for score in MEASURES},
                f"UA more than {reference}": "" if row["system"] == reference else gain,
            }
        )
    return pd.DataFrame(rows)


def _costs(out: Path, name: str, systems: pd.DataFrame) -> list[Picture]:
    mine = systems[systems["num_parameters"] > 0]
    if mine.empty:
        return []
    # Variants are nearly of one size: the best of each head is labelled.
    tops = mine.groupby("head", sort=False)["ua"].idxmax()
    points = pd.DataFrame(
        {
            "rate": mine["num_parameters"],
            "value": mine["ua"],
            "low": mine["ua_low"],
            "high": mine["ua_high"],
            "group": mine["head"].replace("", "others"),
            "hollow": False,
            "label": mine["system"].where(mine.index.isin(tops), ""),
        }
    )
    path = out / f"{name}_costs.png"
    draw_rates(path, points, title="UA over size", ylabel="UA on test", xlabel="parameters")
    caption = "Every system by the parameters of head and language model, with 95 % intervals; "
    return [Picture(caption=f"{caption}the best of each head has its name.", path=path)]


def _count(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:,.0f}"


def _seconds(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.2g}"
