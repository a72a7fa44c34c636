"""The table of what each system of a cross-validation reads and takes: its columns, read again."""

from pathlib import Path

import pandas as pd

from pipeline.errors import PredictionsError
from pipeline.manifests.tables import read_csv
from pipeline.scoring.predictions import CONTAMINATED

SYSTEMS = "systems.csv"
ACOUSTICS = "acoustics"  # the name of a need that stands beside what a head reads of an encoder
NONE = "none"  # as input: acoustics alone
TEXTS = (
    "system",
    "head",
    "views",
    "input",
    "source",
    "encoder",
    "layers",
    "positions",
    "embedding",
    "fusion",
    "fuse_at",
    "beside",
    "language",
    "former",
    "mal",
    "branches",
    "bottleneck",
    "stages",
    "condition",
    "described_by",
    "text_sources",
    CONTAMINATED,
)
NUMBERS = (
    "num_codes",
    "codebooks",
    "frames_per_s",
    "bits_per_s",
    "bytes_per_s",
    "stage1_steps",
    "beta_first",
    "beta_last",
    "num_parameters",
    "num_trained",
)
RANDOM = "random"  # as former: one that begins at random
TWO_STAGES, IN_PHASES, NEVER = "two", "phases", "never"  # as stages and condition of descriptors


def read_systems(path: Path) -> pd.DataFrame:
    """Read `systems.csv`.

    Raises:
        PredictionsError: If it is not what is written now.
    """
    try:
        table = read_csv(path, keep_default_na=False, dtype="str")
        numbers = {name: pd.to_numeric(table[name]) for name in NUMBERS}
        acoustics = table[ACOUSTICS] == "True"
        return table[list(TEXTS)].assign(**numbers, acoustics=acoustics)
    except (OSError, ValueError, KeyError) as error:
        raise PredictionsError(
            f"{path}: is not what 'genser crossval' writes now ({error}); run it again."
        ) from error
