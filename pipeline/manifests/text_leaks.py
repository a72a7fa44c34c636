"""What the texts of a manifest give away: between the parts of a split, and by themselves.

A head that reads texts may know a clip by them: from the rest of its dialogue, from the same text
in train, from who is named, or from a word that names the class. None of this is refused, since
what is said is what such a head is for; it is counted.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from pipeline.manifests.manifest import SPLITS
from pipeline.manifests.texts import TEXT, text_sources

FEWEST_WORDS = 4  # of a text that is looked for elsewhere: shorter ones anybody says
LONGEST_SHOWN = 60
TRAIN, OTHERS = SPLITS[0], SPLITS[1:]
WORD = re.compile(r"\w+(?:'\w+)*")
# Forms of one word, so that 'angry' is found in a clip of the class anger.
FORMS = (
    ("anger", "angry"),
    ("joy", "joyful", "happy", "happiness"),
    ("sad", "sadness"),
    ("fear", "fearful", "afraid", "scared"),
    ("disgust", "disgusted"),
    ("surprise", "surprised"),
    ("calm", "calmness"),
    ("frustration", "frustrated"),
    ("contempt", "contemptuous"),
    ("excited", "excitement"),
)
COLUMNS = ("fold", "corpus", "text", "found", "rows", "of", "same_label", "example")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of thing that texts give away in one corpus.

    Attributes:
        corpus: Where.
        found: What is counted.
        rows: How many there are.
        of: Among how many.
        same_label: How many of them have the label of what they share; NaN where that means
            nothing.
        example: The first of them, for a person; "" without one.
        text: Who wrote the texts, spaces between.
    """

    corpus: str
    found: str
    rows: int
    of: int
    same_label: float = np.nan
    example: str = ""
    text: str = ""

    def sentence(self) -> str:
        """Return it as one line."""
        label = "" if np.isnan(self.same_label) else f", {self.same_label:.0f} with the same label"
        example = f", e.g. {self.example}" if self.example else ""
        where = f"{self.corpus}: " if self.corpus else ""
        return f"{where}{self.rows} of {self.of} {self.found}{label}{example}"


def texts_table(found: Mapping[str, Sequence[Finding]]) -> pd.DataFrame:
    """Return findings as a table, one row each; the key is the fold, "" for none."""
    rows = [{"fold": fold, **asdict(one)} for fold, ones in found.items() for one in ones]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def shared_texts(table: pd.DataFrame, names: pd.Series) -> list[Finding]:
    """Find dialogues in several parts, and texts of dev and test that are in train, by corpus.

    Args:
        table: A manifest's columns; rows without a split are passed over.
        names: Class of each row, "" where it has none.
    """
    known = table.assign(label=names, words=_words(table))
    known = known[known["split"] != ""]
    found = []
    for corpus, rows in known.groupby("corpus", sort=True):
        found += _written([*_dialogues(str(corpus), rows), *_repeated(str(corpus), rows)], rows)
    return found


def within_texts(table: pd.DataFrame, names: pd.Series) -> list[Finding]:
    """Find texts that name a speaker of their corpus, or a class, by corpus.

    Args:
        table: A manifest's columns.
        names: Class of each row, "" where it has none.
    """
    known = table.assign(label=names, words=_words(table))
    known = known[known["words"] != ""]
    found = []
    for corpus, rows in known.groupby("corpus", sort=True):
        found += _written([*_speakers(str(corpus), rows), *_class_words(str(corpus), rows)], rows)
    return found


def _written(found: Iterable[Finding], rows: pd.DataFrame) -> list[Finding]:
    """Return findings with who wrote the texts of the rows."""
    source = " ".join(text_sources(rows))
    return [replace(one, text=source) for one in found]


def _words(table: pd.DataFrame) -> pd.Series:
    """Return each text as its words in small letters, spaces between; "" without one."""
    if TEXT not in table.columns:
        return pd.Series("", index=table.index, dtype="str")
    plain = table[TEXT].str.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").str.casefold()
    return plain.str.findall(WORD).str.join(" ")


def _dialogues(corpus: str, rows: pd.DataFrame) -> Iterator[Finding]:
    if "dialogue" not in rows.columns:
        return
    parts = rows[rows["dialogue"] != ""].groupby("dialogue")["split"].unique()
    if parts.empty:
        return
    shared = parts[parts.map(len) > 1]
    example = ""
    if len(shared):
        example = f"{shared.index[0]!r} in {' and '.join(sorted(shared.iloc[0]))}"
    what = "dialogues have clips in more than one part"
    yield Finding(corpus=corpus, found=what, rows=len(shared), of=len(parts), example=example)


def _repeated(corpus: str, rows: pd.DataFrame) -> Iterator[Finding]:
    long = rows[rows["words"].str.count(" ") >= FEWEST_WORDS - 1]
    train = long[long["split"] == TRAIN]
    if train.empty:
        return
    labels = train.groupby("words")["label"].agg(set)
    for part in OTHERS:
        mine = long[long["split"] == part]
        if mine.empty:
            continue
        repeated = mine[mine["words"].isin(labels.index)]
        same = [
            label != "" and label in labels[words]
            for label, words in zip(repeated["label"], repeated["words"], strict=True)
        ]
        yield Finding(
            corpus=corpus,
            found=f"texts of {FEWEST_WORDS} words or more in {part} are those of train clips",
            rows=len(repeated),
            of=len(mine),
            same_label=sum(same),
            example=_example(repeated),
        )


def _speakers(corpus: str, rows: pd.DataFrame) -> Iterator[Finding]:
    # A number or 'f03' is said by nobody; a name begins as names do.
    people = sorted(name for name in set(rows["speaker"]) if re.fullmatch(r"[^\W\d].+", name))
    people = [name for name in people if name[0].isupper() and not re.search(r"\d", name)]
    if not people:
        return
    longest_first = sorted(people, key=len, reverse=True)
    anybody = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    named = rows[TEXT].str.findall(anybody)
    own = [
        speaker in found for speaker, found in zip(rows["speaker"], named, strict=True)
    ]  # case and all: 'All' is a speaker of MELD
    counts = (
        ("texts name a speaker of their corpus", rows[named.map(len) > 0]),
        ("texts name the one who speaks", rows[own]),
    )
    for what, those in counts:
        yield Finding(
            corpus=corpus, found=what, rows=len(those), of=len(rows), example=_example(those)
        )


def _class_words(corpus: str, rows: pd.DataFrame) -> Iterator[Finding]:
    labelled = rows[rows["label"] != ""]
    if labelled.empty:
        return
    said = labelled["words"].str.split()
    forms = {name: _forms_of(name) for name in set(labelled["label"])}
    own, other = [], []
    for label, words in zip(labelled["label"], said, strict=True):
        mine = not forms[label].isdisjoint(words)
        own.append(mine)
        other.append(any(not forms[name].isdisjoint(words) for name in forms if name != label))
    for what, those in (
        ("texts have a word for their own class", labelled[own]),
        ("texts have a word for another class", labelled[other]),
    ):
        yield Finding(
            corpus=corpus, found=what, rows=len(those), of=len(labelled), example=_example(those)
        )


def _forms_of(label: str) -> frozenset[str]:
    """Return a class's name and the other forms of it."""
    name = label.casefold()
    return frozenset({name}.union(*(forms for forms in FORMS if name in forms)))


def _example(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    first = rows.iloc[0]
    text = first[TEXT] if len(first[TEXT]) <= LONGEST_SHOWN else f"{first[TEXT][:LONGEST_SHOWN]}..."
    label = f", {first['label']}" * bool(first["label"])
    return f"{first['utterance_id']} ({text!r}{label})"
