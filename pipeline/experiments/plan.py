"""What a cross-validation is told to run, and one run of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.errors import ParamsError
from pipeline.experiments.conditions import Condition
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.texts import GOLD, with_given_texts
from pipeline.scoring.predictions import Predictions

if TYPE_CHECKING:  # a report is made without torch
    from pipeline.experiments.costs import Cost
    from pipeline.scoring.score import ScoreConfig
    from pipeline.training.config import TrainConfig

DEV = "dev"  # in a run's metadata: the scores on dev of the head that was kept


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training of a cross-validation.

    Attributes:
        system: Its name.
        fold: Name of the fold.
        seed: Training seed.
        predictions: Of the rows that the fold tests.
        cost: What it took; None where nobody measured it.
        probes: What its head knew within, as `probe_head` tells it; empty where nobody asked.
    """

    system: str
    fold: str
    seed: int
    predictions: Predictions
    cost: "Cost | None" = None
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True, kw_only=True)
class System:
    """What is compared.

    Attributes:
        train: Parameters of training; the seed is replaced.
        score: Parameters of scoring.
        condition: What its training has to cope with.
        texts: `GOLD` for the corpus's own texts, where a recogniser's are in the manifest; "" reads
            what is there.
    """

    train: "TrainConfig"
    score: "ScoreConfig"
    condition: Condition = field(default_factory=Condition)
    texts: str = ""

    def __post_init__(self) -> None:
        if self.texts not in ("", GOLD):
            raise ParamsError(f"texts: found {self.texts!r}, wanted {GOLD!r} or none.")
        if self.condition.label_noise and self.train.targets != "label":
            raise ParamsError(
                f"label noise: train.targets is {self.train.targets!r}, and votes tell the labels "
                "that noise would hide; set it to 'label'."
            )

    def of_texts(self, manifest: Manifest) -> Manifest:
        """Return a manifest with the texts that it reads.

        Raises:
            ManifestError: If the corpus gives none.
        """
        return with_given_texts(manifest) if self.texts else manifest


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run.

    Attributes:
        systems: By name.
        seeds: Training seeds.
        task: Label column.
        label_map: Of the task.
        allow_overlap: Accept folds that share speakers.
        device: A torch device.
        part: The split of each fold that is scored; a sweep never looks at test.
        probes: Whether heads that show what they make of a clip within are probed.
    """

    systems: Mapping[str, System]
    seeds: Sequence[int]
    task: str
    label_map: LabelMap | None
    allow_overlap: bool
    device: str
    part: str = "test"
    probes: bool = False
