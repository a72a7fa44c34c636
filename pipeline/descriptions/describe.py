"""From numbers to a manifest with descriptors."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from pipeline.audio.outcomes import OK
from pipeline.descriptions.acoustics import Acoustics
from pipeline.descriptions.config import DescribeConfig
from pipeline.descriptions.emphasis import TEXT
from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.quantiles import Fit, fit_quantiles
from pipeline.descriptions.record import Description
from pipeline.descriptions.slots import SLOTS
from pipeline.descriptions.speed import speeds
from pipeline.errors import ManifestError
from pipeline.manifests.descriptors import described, given_descriptors
from pipeline.manifests.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was done.

    Attributes:
        outcomes: Rows by outcome.
        failures: A line for each row without numbers: where, outcome and message.
        num_made: Rows that got a description.
        num_given: Rows that keep the descriptors that they had.
        against: Rows by what they are held against, in the first split or fold.
        example: The first row that got one, with it; "" for none.
    """

    outcomes: dict[str, int]
    failures: list[str]
    num_made: int
    num_given: int
    against: dict[str, int]
    example: str


def describe(
    manifest: Manifest, acoustics: Acoustics, grammar: Grammar, config: DescribeConfig
) -> tuple[pd.DataFrame, Description, Summary]:
    """Return a manifest's table with descriptors, what they were made with, and what was done.

    Cuts are fitted on the rows of split train, of each fold anew. No label is read.

    Args:
        manifest: The manifest; its columns corpus, gender, speaker, text and split are read.
        acoustics: Of its rows.
        grammar: The words.
        config: Against what, and where levels end.

    Raises:
        ManifestError: If no row, or too few of them, are for training.
    """
    table = manifest.table
    nothing = pd.Series("", index=table.index, dtype="str")
    texts = table.get(TEXT, nothing)
    speed = speeds(acoustics.numbers, texts, table["corpus"], grammar.vowels)
    numbers = acoustics.numbers.assign(speed=speed)
    numbers = numbers[[slot for slot in SLOTS if slot in numbers.columns]]
    words = [
        "" if place is None else text.split()[place].strip(".,;:!?\"'()")
        for text, place in zip(texts, acoustics.stressed, strict=True)
    ]
    fits: dict[str, Fit] = {}
    made: dict[str, pd.Series] = {}
    against: dict[str, int] = {}
    for fold, part in _parts(manifest).items():
        where = f"{manifest.path}{f', fold {fold}' * bool(fold)}"
        fits[fold] = fit_quantiles(where, numbers, part, config)
        levels, kinds = fits[fold].levels(numbers, part)
        sentences = map(grammar.sentence, levels, part["utterance_id"], words)
        made[fold] = pd.Series(list(sentences), index=table.index, dtype="str")
        against = against or dict(Counter(filter(None, kinds)))
    description = Description(grammar=grammar, measure=acoustics.measure, fits=fits)
    new = described(table, made, description.source, numbers)
    first = next(iter(made.values()))
    summary = _summary(manifest, acoustics, first, given_descriptors(table), against)
    return new, description, summary


def _parts(manifest: Manifest) -> dict[str, pd.DataFrame]:
    """Return the table with each split that has something to train on, by fold; "" is `split`."""
    folds = {"": manifest, **{fold: manifest.of_fold(fold) for fold in manifest.folds}}
    parts = {
        fold: one.table for fold, one in folds.items() if (one.table["split"] == "train").any()
    }
    if not parts:
        raise ManifestError(
            f"{manifest.path}: no row is of split train, whose clips the others are held against; "
            "fill the split with 'genser split'."
        )
    return parts


def _summary(
    manifest: Manifest,
    acoustics: Acoustics,
    made: pd.Series,
    given: pd.Series,
    against: dict[str, int],
) -> Summary:
    ids = manifest.table["utterance_id"]
    failures = [
        f"{manifest.path}:{manifest.row_number(i)}: {ids.iloc[i]!r}: {outcome}: {message}"
        for i, (outcome, message) in enumerate(
            zip(acoustics.outcomes, acoustics.messages, strict=True)
        )
        if outcome != OK
    ]
    is_made = (made != "") & (given == "")
    first = made.index[is_made][:1]
    return Summary(
        outcomes=dict(sorted(Counter(acoustics.outcomes).items())),
        failures=failures,
        num_made=int(is_made.sum()),
        num_given=int((given != "").sum()),
        against=against,
        example="".join(f"{ids[i]}: {made[i]}" for i in first),
    )
