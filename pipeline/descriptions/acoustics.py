"""What was measured of a manifest's rows, from whatever source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

PEAKS_PER_S, VOICED_S = "peaks_per_s", "voiced_s"  # what speed is made of


@dataclass(frozen=True, kw_only=True)
class Acoustics:
    """What was measured of a manifest's rows.

    Attributes:
        numbers: A column for each slot that the source has but for speed, and `peaks_per_s` and
            `voiced_s`; NaN where a row has none.
        outcomes: What has become of each row, of `pipeline.audio.outcomes`.
        messages: Why a row has no numbers, "" where it has.
        stressed: Which word of each row stands out, None for none.
        measure: Where the numbers come from, plain JSON values.
    """

    numbers: pd.DataFrame
    outcomes: Sequence[str]
    messages: Sequence[str]
    stressed: Sequence[int | None]
    measure: Mapping[str, Any]
