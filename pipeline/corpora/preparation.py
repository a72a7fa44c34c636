"""From a corpus's folder to manifest rows with a split."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from pipeline.corpora.audformat import read_audformat
from pipeline.corpora.audiofolder import read_audiofolder
from pipeline.corpora.catalogue import (
    AUDFORMAT,
    AUDIOFOLDER,
    DEMO,
    EMOBOX,
    FOLDERS,
    KALDI,
    TABLE,
    all_corpora,
    all_importers,
)
from pipeline.corpora.demo import DemoConfig, synthesise_corpus
from pipeline.corpora.demo_texts import emotions_of
from pipeline.corpora.emobox import read_emobox
from pipeline.corpora.generic import as_manifest, read_any_table, read_class_folders
from pipeline.corpora.importer import Corpus, Importer
from pipeline.corpora.kaldi import read_kaldi
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.errors import ManifestError, ParamsError
from pipeline.files import require_writable
from pipeline.language.seeded import save_seeded_language_model
from pipeline.manifests.manifest import FOLD, SPLITS, speaker_names
from pipeline.manifests.splits import assign_splits, carve_dev, make_folds
from pipeline.typed import require_seed


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How a corpus is split, and how the demo corpus is made."""

    seed: int = 0  # of the assignment of speakers to splits and folds
    dev_fraction: float = 1 / 6  # of each gender's speakers; of folds, of what is not tested on
    test_fraction: float = 1 / 4  # of each gender's speakers
    demo: DemoConfig = field(default_factory=DemoConfig)

    def __post_init__(self) -> None:
        require_seed("prepare.seed", self.seed)
        for name in ("dev_fraction", "test_fraction"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ParamsError(f"prepare.{name}: {value} is not between 0 and 1.")
        if self.dev_fraction + self.test_fraction >= 1:
            raise ParamsError("prepare: dev_fraction and test_fraction leave nothing to train on.")


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is prepared, and for the generic importers how it is read.

    Attributes:
        name: One of `pipeline.corpora.catalogue.all_corpora`.
        path: Its folder; for `table` a file.
        corpus: What the column `corpus` says, for `folders`; the folder's name if empty.
        task: Label column, for `folders` and for balancing folds.
        speaker: Regular expression that finds the speaker in a path, for `folders`.
        renames: `theirs=ours` each, for `table`, `audformat` and `audiofolder`.
    """

    name: str
    path: Path
    corpus: str = ""
    task: str = "emotion"
    speaker: str | None = None
    renames: Sequence[str] = ()


def prepare_corpus(source: Source, config: PrepareConfig) -> Corpus:
    """Return the manifest rows of a corpus, with splits that share no speaker.

    The owners' split is taken where the importer says so, and EmoBox's folds; else speakers are
    dealt out. For the demo, its recordings are made below `path/audio`, its encoder in
    `path/encoder`, and a language model in `path/language`.

    Raises:
        ManifestError: If the folder does not hold the corpus.
        ParamsError: If no corpus has the name.
        PluginError: If a corpus of another package cannot be used.
    """
    importer = all_importers().get(source.name)
    corpus = importer.read(source.path) if importer else _read(source, config)
    if corpus.table.empty:
        raise ManifestError(
            f"{source.path}: none of its recordings is named as {source.name} names them."
        )
    table = corpus.table
    for column in ("speaker", "corpus"):
        if column not in table.columns:
            table = table.assign(**{column: ""})
    unlabelled = pd.Series("", index=table.index, dtype="str")
    labels = table.get(source.task, unlabelled)
    if importer:
        return _split_known(replace(corpus, table=table), importer, labels, config)
    if source.name == EMOBOX:
        return _give_dev(replace(corpus, table=table), labels, config)
    if "split" in table.columns and (table["split"] != "").any():
        return replace(corpus, table=table)
    return _deal(replace(corpus, table=table), labels, config)


def _read(source: Source, config: PrepareConfig) -> Corpus:
    if source.name == DEMO:
        require_writable(source.path)
        rows = synthesise_corpus(source.path, config.demo)
        save_seeded_encoder(source.path / "encoder", size="tiny", seed=config.demo.seed)
        save_seeded_language_model(
            source.path / "language", answers=emotions_of(), seed=config.demo.seed
        )
        return Corpus(table=pd.DataFrame(rows))
    if source.name == EMOBOX:
        return read_emobox(source.path)
    if source.name == FOLDERS:
        return read_class_folders(
            source.path,
            corpus=source.corpus or source.path.resolve().name,
            task=source.task,
            speaker=source.speaker,
        )
    if source.name == KALDI:
        return read_kaldi(source.path)
    if source.name in (AUDFORMAT, AUDIOFOLDER):
        read = read_audformat if source.name == AUDFORMAT else read_audiofolder
        table = read(source.path)
        table = table.assign(corpus=source.corpus or source.path.resolve().stem)
        return as_manifest(table, source.renames, source.path, 1)
    if source.name != TABLE:
        raise ParamsError(f"CORPUS: {source.name!r} is not one of {all_corpora()}.")
    return read_any_table(source.path, source.renames)


def _split_known(
    corpus: Corpus, importer: Importer, labels: pd.Series, config: PrepareConfig
) -> Corpus:
    if importer.uses_official:
        return replace(corpus, table=corpus.table.assign(split=corpus.table["official"]))
    if importer.folds_by and corpus.table[importer.folds_by].nunique() > 1:
        folds = make_folds(
            corpus.table,
            labels,
            by=importer.folds_by,
            num_folds=None,
            dev_fraction=config.dev_fraction,
            seed=config.seed,
        )
        return replace(corpus, table=corpus.table.join(folds.columns))
    return _deal(corpus, labels, config)


def _deal(corpus: Corpus, labels: pd.Series, config: PrepareConfig) -> Corpus:
    """Deal speakers out where there are enough; else leave the split empty and say so."""
    table = corpus.table
    num_speakers = table.loc[table["speaker"] != "", ["corpus", "speaker"]].drop_duplicates()
    least = num_speakers["corpus"].value_counts().min() if len(num_speakers) else 0
    if least < len(SPLITS):
        note = (
            f"{len(num_speakers)} speakers are known, too few for train, dev and test without a "
            "shared one; the split is left empty: merge corpora, or use 'genser split'"
        )
        return Corpus(table=table, notes=[*corpus.notes, note])
    splits = assign_splits(
        table,
        labels,
        dev_fraction=config.dev_fraction,
        test_fraction=config.test_fraction,
        seed=config.seed,
    )
    return replace(corpus, table=table.assign(split=splits))


def _give_dev(corpus: Corpus, labels: pd.Series, config: PrepareConfig) -> Corpus:
    """Give each split without a dev part some of its training speakers."""
    table, notes = corpus.table, list(corpus.notes)
    speakers = speaker_names(table)
    known = bool((table["speaker"] != "").all())
    for name in (c for c in table.columns if c == "split" or c.startswith(FOLD)):
        split = table[name]
        if (split == "dev").any() or not (split == "train").any():
            continue
        if not known or speakers[split == "train"].nunique() < 2:
            notes.append(f"{name} has no dev part, and no speakers to take one from")
            continue
        dev = carve_dev(split, speakers, labels, dev_fraction=config.dev_fraction, seed=config.seed)
        table = table.assign(**{name: dev})
    return Corpus(table=table, notes=notes)
