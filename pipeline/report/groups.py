"""Systems on groups of clips: what `metrics.json` and the page say of them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.groups import LEAST_CLIPS, LEAST_CLUSTERS, Group, Grouping
from pipeline.report.numbers import NUMBER_NAMES
from pipeline.report.page import Section, Table
from pipeline.report.tables import NAMES, few_note, interval_text

_NAMES = {**NAMES, **NUMBER_NAMES}


def group_entries(found: Sequence[Grouping]) -> dict[str, Any]:
    """Return what the groupings of one system add to the metrics of its split, by column."""
    return {
        one.column: {
            "groups": {
                group.name: {
                    **{score: group.scores[score].value for score in one.measures},
                    "interval": {score: _ends(group.scores[score]) for score in one.measures},
                    "num_clips": group.num_clips,
                    "num_clusters": group.num_clusters,
                    "lacking": list(group.lacking),
                    "is_small": group.is_small,
                }
                for group in one.groups
            },
            "gap": {
                score: {
                    "best": gap.best,
                    "worst": gap.worst,
                    "difference": gap.difference.value,
                    "interval": _ends(gap.difference),
                }
                for score, gap in one.gaps.items()
            },
            "num_untold": one.num_untold,
        }
        for one in found
    }


def group_sections(found: Sequence[Grouping], *, cluster: str) -> list[Section]:
    """Return a section with a table for each column; none where no column tells groups apart."""
    columns = list(dict.fromkeys(one.column for one in found))
    if not columns:
        return []
    return [
        Section(
            title="Groups",
            texts=[
                "Each score on the clips of each group alone, and the gap between the best group "
                "and the worst. Even groups that are equally good differ by chance: where the "
                "interval of a gap reaches 0, no gap is shown."
            ],
            tables=[
                _table(column, [one for one in found if one.column == column], cluster)
                for column in columns
            ],
        )
    ]


def _table(column: str, found: Sequence[Grouping], cluster: str) -> Table:
    rows = []
    for one in found:
        rows += [
            {
                column: group.name,
                "system": one.system,
                **{_NAMES[score]: interval_text(group.scores[score]) for score in one.measures},
                "clips": str(group.num_clips),
                f"{cluster}s": str(group.num_clusters),
                "note": _note(group),
            }
            for group in one.groups
        ]
        gaps = {
            _NAMES[score]: f"{interval_text(gap.difference)} ({gap.best} over {gap.worst})"
            for score, gap in one.gaps.items()
        }
        why = "" if gaps else "fewer than two groups are large enough"
        rows.append({column: "gap", "system": one.system, **gaps, "note": why})
    frame = pd.DataFrame(rows).fillna("")
    untold = found[0].num_untold
    fewest = min(group.num_clusters for one in found for group in one.groups)
    unsaid = f" {untold} clips do not tell theirs and are in none." * bool(untold)
    return Table(
        caption=f"By {column}. In brackets 95 % intervals that resample {cluster}s, of a gap those "
        f"of both groups at once.{unsaid}{few_note(fewest)}",
        frame=frame.loc[:, (frame != "").any()],
        strong=["gap"],
    )


def _note(group: Group) -> str:
    """Return what stands against comparing a group with others."""
    small = (
        f"too small for the gap (below {LEAST_CLIPS} clips or {LEAST_CLUSTERS} resampled)"
        if group.is_small
        else ""
    )
    lacking = f"no clip of {', '.join(group.lacking)}" if group.lacking else ""
    return "; ".join(filter(None, [small, lacking]))


def _ends(found: Interval) -> list[float]:
    return [found.low, found.high]
