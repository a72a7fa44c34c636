"""What an importer is: the facts of a corpus, and how its folder becomes manifest rows."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import pandas as pd

from pipeline.corpora.folders import SUFFIXES, count_note, find_recordings, read_headers, some

Row = dict[str, str]
Describe = Callable[[PurePath], Row | None]


def _tells_nothing(_: PurePath) -> Row | None:
    return None


def describe_by_table(path: PurePath) -> Row:
    """Return the row of a recording of which a table tells all, by the name without suffix."""
    return {"utterance_id": path.stem}


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The rows of a corpus and what a person should know of them.

    Attributes:
        table: Manifest rows, sorted by utterance_id.
        notes: Sentences on what is missing, extra or special.
    """

    table: pd.DataFrame
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Importer:
    """A corpus: its facts, and how to read it.

    A corpus says what it holds in the names of its files, in a table beside them, or in both.

    Attributes:
        name: What `genser prepare` calls it.
        title: What its owners call it.
        language: ISO 639 codes.
        classes: Its labels, in words; for the table of corpora.
        num_clips: Clips as published; None where its table tells.
        num_speakers: Speakers as published; None where nobody tells.
        hours: Hours as published or counted; None where nobody tells.
        licence: Its terms.
        citation: Who made it, and where it is described.
        source: Where to get it.
        wants: What `genser prepare` wants to be given.
        corpus: What the column `corpus` says; `name` if empty.
        emobox: What EmoBox calls it, where it has it.
        describe: Row of a recording from its path in the folder, None if it is none of the corpus.
        tabulate: Reads the folder of a corpus with a table; without it, names tell all.
        expected: All utterance ids, where they follow from a rule.
        uses_official: Whether `prepare` takes the owners' split.
        folds_by: Column whose values `prepare` makes folds of, or none.
    """

    name: str
    title: str
    language: str
    classes: Sequence[str]
    num_clips: int | None
    num_speakers: int | None
    hours: float | None
    licence: str
    citation: str
    source: str
    wants: str
    corpus: str = ""
    emobox: str = ""
    describe: Describe = _tells_nothing
    tabulate: Callable[[Path], Corpus] | None = None
    expected: Callable[[], Iterable[str]] | None = None
    uses_official: bool = False
    folds_by: str = ""

    def read(self, folder: Path) -> Corpus:
        """Return the clips below a folder.

        Raises:
            ManifestError: If the folder does not hold the corpus.
        """
        corpus = self.tabulate(folder) if self.tabulate else read_names(folder, self.describe)
        table = corpus.table.drop(columns="channels", errors="ignore")
        table["corpus"] = self.corpus or self.name
        if "language" not in table.columns:
            table["language"] = self.language
        notes = [*self._count(table["utterance_id"]), *self._count_speakers(table), *corpus.notes]
        return Corpus(table=table, notes=notes)

    def _count(self, found: pd.Series) -> list[str]:
        if self.expected:
            return count_note("clips", found, self.expected())
        if self.num_clips in (None, len(found)):
            return []
        return [f"{len(found)} clips found, {self.title} has {self.num_clips}"]

    def _count_speakers(self, table: pd.DataFrame) -> list[str]:
        found = table["speaker"][table["speaker"] != ""].nunique() if "speaker" in table else 0
        if self.num_speakers in (None, found) or table.empty:
            return []
        return [f"{found} speakers found, {self.title} has {self.num_speakers}"]


def read_names(folder: Path, describe: Describe, suffixes: Sequence[str] = SUFFIXES) -> Corpus:
    """Return the recordings below a folder as their names describe them.

    Raises:
        ManifestError: If the folder holds no recordings.
    """
    rows: dict[str, Row] = {}
    paths: dict[str, Path] = {}
    strange, repeated = [], []
    # A copy of less quality, such as CREMA-D's AudioMP3, comes after the one that it repeats.
    found = sorted(
        find_recordings(folder, suffixes), key=lambda path: suffixes.index(path.suffix.lower())
    )
    for path in found:
        row = describe(path.relative_to(folder))
        if row is None:
            strange.append(path)
            continue
        name = row.get("utterance_id", path.stem)
        if name in rows:
            repeated.append((path, paths[name]))
            continue
        paths[name] = path
        rows[name] = {"path": path.relative_to(folder).as_posix(), **row, "utterance_id": name}
    notes = []
    if strange:
        notes.append(f"{len(strange)} other recordings are passed over: {some(strange)}")
    if repeated:
        # Some downloads hold a corpus twice, in folders of two names.
        again, first = repeated[0]
        notes.append(
            f"{len(repeated)} recordings are there again and passed over: {again} repeats "
            f"{first}{', ...' if len(repeated) > 1 else ''}"
        )
    names = sorted(rows)
    table = pd.DataFrame([rows[name] for name in names], dtype="str").fillna("")
    if not names:
        table = pd.DataFrame({"utterance_id": [], "path": []}, dtype="str")
    return Corpus(table=table.join(read_headers([paths[name] for name in names])), notes=notes)


def with_labels(corpus: Corpus, labels: pd.DataFrame, *, what: str) -> Corpus:
    """Return the recordings that a corpus's own table knows, with what it says of them.

    Args:
        corpus: The recordings.
        labels: Columns of texts, indexed by utterance_id.
        what: What the table's rows are called in the note on what is missing or extra.
    """
    notes = count_note(what, corpus.table["utterance_id"], labels.index)
    table = corpus.table[corpus.table["utterance_id"].isin(labels.index)]
    table = table.join(labels, on="utterance_id").reset_index(drop=True)
    return Corpus(table=table, notes=[*notes, *corpus.notes])
