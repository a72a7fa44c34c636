"""The numbers of the study of discrete tokens as texts of a page's tables."""

import numpy as np
import pandas as pd

from pipeline.experiments.token_study import Row, rows_of


def layers_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return T1, sorted by layers and K."""
    order = table.assign(
        first=table["layers"].str.split().str[0].astype("float64"),
        many=table["layers"].str.count(" "),
    ).sort_values(["encoder", "many", "first", "fusion", "num_codes"], kind="stable")
    rows = [
        {
            "system": row["codes"],
            "layers": layers_text(row["layers"]),
            **({"fusion": _fusion(row)} if order["many"].any() else {}),
            "K": _whole(row["num_codes"]),
            "codes": interval(row, "codes_macro_f1"),
            "frames": interval(row, "frames_macro_f1"),
            "relative drop, %": interval(row, "drop", places=1),
            "bits/s": _rate(row["bits_per_s"]),
            "dev, codes": _number(row["dev_macro_f1"]),
        }
        for row in rows_of(order)
    ]
    return _without_empty(pd.DataFrame(rows))


def fusion_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return T2, in each block the reference first, then codes, then the others."""
    order = table.assign(
        place=np.select([table["is_reference"], table["input"] == "codes"], [0, 1], 2)
    ).sort_values(["encoder", "num_codes", "embedding", "place"], kind="stable")
    rows = []
    for row in rows_of(order):
        known = np.isfinite(row["difference"])
        rows.append(
            {
                "system": row["system"],
                "beside K": _whole(row["num_codes"]),
                "reads": row["input"] if row["input"] != "none" else "acoustics alone",
                "layers": layers_text(row["layers"]),
                "fusion": _fusion(row),
                "acoustics": "yes" if row["acoustics"] else "no",
                "macro F1": interval(row, "macro_f1"),
                "difference": (
                    "reference" if row["is_reference"] else interval(row, "difference", signed=True)
                ),
                "closed of the gap": _closed(row) if known else "",
                "dev": _number(row["dev_macro_f1"]),
            }
        )
    return _without_empty(pd.DataFrame(rows))


def codecs_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return T3, the lowest bit rates first."""
    rows = [
        {
            "system": row["alone"],
            "tokens": row["family"],
            "encoder": row["encoder"],
            "layers or books": _whole(row["codebooks"]),
            "K": _whole(row["num_codes"]),
            "frames/s": f"{row['frames_per_s']:.3g}",
            "bits/s": _rate(row["bits_per_s"]),
            "bytes/s": _rate(row["bytes_per_s"]),
            "alone": interval(row, "alone_macro_f1"),
            "with acoustics": interval(row, "with_macro_f1"),
            "gain": interval(row, "gain", signed=True),
        }
        for row in rows_of(table.sort_values("bits_per_s", kind="stable"))
    ]
    return _without_empty(pd.DataFrame(rows))


def attention_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return T4, a row for each system and a column for each layer."""
    cells: dict[str, dict[str, str]] = {}
    for row in rows_of(table):
        mine = cells.setdefault(row["system"], {"system": row["system"]})
        mine[f"layer {row['layer']}"] = interval(row, "attention")
    for row in rows_of(table):
        cells[row["system"]]["if even"] = _number(row["even"])
    return pd.DataFrame(list(cells.values())).fillna("")


def systems_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return every system with its facts and scores."""
    rows = [
        {
            "system": row["system"],
            "head": row["head"],
            "reads": row["input"],
            "views": row["views"],
            "layers": layers_text(row["layers"]),
            "K": _whole(row["num_codes"]),
            "bits/s": _rate(row["bits_per_s"]),
            "bytes/s": _rate(row["bytes_per_s"]),
            "macro F1": interval(row, "macro_f1"),
            "UA": interval(row, "ua"),
            "WA": interval(row, "wa"),
            "dev macro F1": _number(row["dev_macro_f1"]),
        }
        for row in rows_of(table)
    ]
    return _without_empty(pd.DataFrame(rows))


def layers_text(layers: str) -> str:
    """Return e.g. `1-4` for `1 2 3 4`."""
    numbers = [int(one) for one in layers.split()]
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{numbers[0]}-{numbers[-1]}"
    return ", ".join(map(str, numbers))


def interval(row: Row, name: str, *, places: int = 3, signed: bool = False) -> str:
    """Return a number with its ends, e.g. `.553 [.507, .596]`; "" where it is not known."""
    if not np.isfinite(row[name]):
        return ""
    sign = "+" if signed else ""
    value, low, high = (
        f"{row[key]:{sign}.{places}f}" for key in (name, f"{name}_low", f"{name}_high")
    )
    return f"{value} [{low}, {high}]" if np.isfinite(row[f"{name}_low"]) else value


def span(values: pd.Series, places: int) -> str:
    """Return the least and the most of numbers; "" for none."""
    if values.empty:
        return ""
    ends = [f"{end:.{places}f}" for end in (values.min(), values.max())]
    return ends[0] if len(values) == 1 else " to ".join(ends)


def _closed(row: Row) -> str:
    if row["is_reference"]:
        return ""
    if not np.isfinite(row["gap"]):
        return "no frames to compare with"
    if row["gap"] <= 0:
        return "no gap to close"
    percent = {key: 100 * row[key] for key in ("closed", "closed_low", "closed_high")}
    told = interval(percent, "closed", places=0)
    return f"{told} %" if np.isfinite(row["closed_low"]) else f"{told} %, the gap is not sure"


def _fusion(row: Row) -> str:
    """Return how layers are joined; "" for one."""
    return str(row["fusion"]) if " " in str(row["layers"]) else ""


def _whole(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else ""


def _rate(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "?"


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def _without_empty(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the columns that say nothing in any row."""
    return table.loc[:, (table != "").any()]
