"""The pictures of the studies of descriptors: what branches know, for each beta."""

from pathlib import Path

import pandas as pd

from pipeline.experiments.descriptors_study import BETA, DescriptorsStudy
from pipeline.figures.probes import draw_probes
from pipeline.report.page import Picture


def draw_branches(
    out: Path, stem: str, study: DescriptorsStudy, probes: pd.DataFrame
) -> list[Picture]:
    """Draw the probes of the whole system, and of those that differ from it in beta.

    Args:
        out: The report's folder.
        stem: What the files' names begin with.
        study: The studies.
        probes: Of every run.

    Raises:
        OutputError: If a file cannot be written.
    """
    table = study.variants
    if probes.empty:
        return []
    shown = [study.reference]
    if len(table):
        shown += table.loc[table["table"] == BETA, "system"].tolist()
    pictures = []
    asked = [system for system in dict.fromkeys(shown) if system in set(probes["system"])]
    for number, system in enumerate(asked, start=1):
        mine = probes[probes["system"] == system]
        groups = mine.groupby(["question", "representation"], sort=False)
        means = groups[["ua", "ua_low", "ua_high", "chance"]].mean()
        drawn = means.set_axis(["value", "low", "high", "chance"], axis="columns")
        path = out / f"{stem}_probes_{number}.png"
        draw_probes(path, drawn.reset_index(), title=f"What {system} knows within", ylabel="UA")
        caption = f"{system}: mean UA of each question over runs, and of its intervals."
        pictures.append(Picture(caption=caption, path=path))
    return pictures
