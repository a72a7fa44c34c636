"""From a corpus's folder to manifest rows with a split: the table of corpora."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline.corpora.demo import DemoConfig, synthesise_corpus
from pipeline.corpora.folders import Corpus
from pipeline.corpora.nemo import read_nemo
from pipeline.corpora.ravdess import read_ravdess
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import ManifestError, ParamsError
from pipeline.files import require_writable
from pipeline.splits import assign_splits

IMPORTERS: dict[str, Callable[[Path], Corpus]] = {"ravdess": read_ravdess, "nemo": read_nemo}
DEMO = "demo"
CORPORA = (DEMO, *IMPORTERS)


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a corpus is split, and how the demo corpus is made."""

    seed: int = 0  # of the assignment of speakers to splits
    dev_fraction: float = 1 / 6  # of each gender's speakers
    test_fraction: float = 1 / 4  # of each gender's speakers
    demo: DemoConfig = field(default_factory=DemoConfig)

    def __post_init__(self) -> None:
        for name in ("dev_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ParamsError(f"prepare.{name}: {value} is not between 0 and 1.")
        if self.dev_fraction + self.test_fraction >= 1:
            raise ParamsError("prepare: dev_fraction and test_fraction leave nothing to train on.")


def prepare_corpus(name: str, folder: Path, config: PrepareConfig) -> Corpus:
    """Return the manifest rows of a corpus, with speaker-disjoint splits.

    For the demo, its recordings are made below `folder/audio` and its encoder in `folder/encoder`.

    Raises:
        ManifestError: If the folder does not hold the corpus.
    """
    if name == DEMO:
        require_writable(folder)
        rows = synthesise_corpus(folder, config.demo)
        save_seeded_encoder(folder / "encoder", size="tiny", seed=config.demo.seed)
        corpus = Corpus(table=pd.DataFrame(rows))
    else:
        corpus = IMPORTERS[name](folder)
    if corpus.table.empty:
        raise ManifestError(f"{folder}: none of its recordings is named as {name} names them.")
    splits = assign_splits(
        corpus.table,
        dev_fraction=config.dev_fraction,
        test_fraction=config.test_fraction,
        seed=config.seed,
    )
    return Corpus(table=corpus.table.assign(split=splits), notes=corpus.notes)
