"""What published tables are made of, and what is published of discrete tokens.

Facts are quoted with where they were read; a cell is None where the source does not give it.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of somebody's table.

    Attributes:
        system: What its authors call it.
        encoder: What it hears, or reads, with.
        trained_on: Training data, as far as told.
        wa: Accuracy, 0 to 1.
        ua: Mean recall.
        wf1: Weighted F1.
        source: Where the number stands.
    """

    system: str
    encoder: str = "not told"
    trained_on: str = "not told"
    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None
    source: str


@dataclass(frozen=True, kw_only=True)
class PublishedScores:
    """A table of scores, and what ours must be of to stand in it.

    Attributes:
        title: For a person.
        task: The label column.
        corpus: What was scored, as manifests call it.
        num_classes: C; None where it is not told.
        splits: Which of our rows are the same clips; empty where the published ones are in folds.
        rows: In the order of the source.
    """

    title: str
    task: str
    corpus: str
    num_classes: int | None
    splits: Sequence[str]
    rows: Sequence[Published]

    def is_of(self, task: str, corpora: Sequence[str], num_classes: int, split: str) -> bool:
        """Say whether ours are of the same task, corpus, classes and rows."""
        return (
            task == self.task
            and tuple(corpora) == (self.corpus,)
            and self.num_classes in (None, num_classes)
            and (not self.splits or split in self.splits)
        )


@dataclass(frozen=True, kw_only=True)
class PublishedTokens:
    """One row about discrete tokens, as it is told.

    Attributes:
        system: What it is.
        macro_f1: A number or a range, 0 to 1.
        drop: What tokens lose against continuous features, percent of these; "" untold.
        encoder: What it hears with.
        data: What it was trained and scored on.
        source: Where it stands.
    """

    system: str
    macro_f1: str
    drop: str = ""
    encoder: str
    data: str
    source: str


TOKENS_CORPUS, TOKENS_CLASSES = "msp-podcast", 8

PUBLISHED_TOKENS = (
    PublishedTokens(
        system="discrete tokens, k-means, K 256 to 4000",
        macro_f1=".3133 to .3479",
        drop="6 to 14",
        encoder="WavLM-large, fine-tuned, 24 layers",
        data="MSP-Podcast",
        source="arXiv 2601.17085, second-hand: its tables were not at hand",
    ),
    PublishedTokens(
        system="continuous features (what the two numbers above imply)",
        macro_f1="about .364 to .370",
        encoder="WavLM-large, fine-tuned, 24 layers",
        data="MSP-Podcast",
        source="computed from the row above",
    ),
    PublishedTokens(
        system="Odyssey 2024 baseline",
        macro_f1=".307 dev, .311 test 3",
        encoder="WavLM-large, fine-tuned",
        data="MSP-Podcast 1.11",
        source="3loi/SER-Odyssey-Baseline-WavLM-Categorical",
    ),
    PublishedTokens(
        system="a challenge system of 2025, an ensemble that reads text",
        macro_f1=".398",
        encoder="several",
        data="MSP-Podcast",
        source="arXiv 2506.02088",
    ),
)
