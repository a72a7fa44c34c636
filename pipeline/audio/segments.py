"""Where a clip is cut: which stretch and channel of which file it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What to read of a file.

    Attributes:
        path: The audio file.
        start: Seconds from the file's beginning.
        end: Seconds, None for the file's end.
        channel: 1-based; None mixes all channels down to their mean.
        num_samples: Samples that the manifest promises, at the file's rate; None promises nothing.
        sample_rate: Hertz that the manifest promises.
    """

    path: Path
    start: float | None = None
    end: float | None = None
    channel: int | None = None
    num_samples: int | None = None
    sample_rate: int | None = None


def segments(requests: pd.DataFrame) -> list[Segment]:
    """Return what to read for each row of `pipeline.manifests.manifest.requests`."""

    def known(value: Any, kind: type) -> Any:
        return None if pd.isna(value) or value == -1 else kind(value)

    return [
        Segment(
            path=Path(str(row.source)),
            start=known(row.start, float),
            end=known(row.end, float),
            channel=known(row.channel, int),
            num_samples=known(row.num_samples, int),
            sample_rate=known(row.sample_rate, int),
        )
        for row in requests.itertuples()
    ]
