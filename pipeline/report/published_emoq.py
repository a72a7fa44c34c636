"""Tables 1 to 6 of the EmoQ paper (arXiv 2509.15775), every printed row.

A number is None where the paper prints none, a text "?" where it was not at hand. What identifies
a variant is told in the words of `systems.csv`, so that ours stand beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

EMOQ = "arXiv 2509.15775"
HUBERT, QWEN = "HuBERT-large, frozen", "Qwen2.5-7B-Instruct"
FOLDS, OFFICIAL = "5 folds by speaker", "MELD's test"
_NUM_FOLDS = {FOLDS: 5, OFFICIAL: None}
MAIN, INPUT, LOSSES, STAGE1 = "main", "input", "losses", "stage1"


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table of the paper.

    Attributes:
        number: As it is printed.
        what: What it varies: `MAIN`, nothing; `INPUT`, `LOSSES` or `STAGE1`, a part of the system.
        title: For a person.
        corpus: What it was scored on, as manifests call it.
        num_classes: C.
        split: Which clips were scored.
    """

    number: int
    what: str
    title: str
    corpus: str
    num_classes: int
    split: str

    def is_of(self, corpora: Sequence[str], num_classes: int) -> bool:
        """Say whether ours are of the same corpus and classes."""
        return tuple(corpora) == (self.corpus,) and num_classes == self.num_classes

    def is_in_folds(self, num_folds: int | None) -> bool:
        """Say whether ours are of the same split: so many folds, or None, the corpus's own."""
        return num_folds == _NUM_FOLDS[self.split]


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One row.

    Attributes:
        table: Number of its table.
        system: What the paper calls it, with its year.
        wa: Accuracy, 0 to 1.
        ua: Mean recall.
        wf1: Weighted F1.
        encoder: What it hears with.
        language: Its language model.
        text: Who wrote its texts.
        variant: What it differs in, by column of `systems.csv`; empty for the whole system and for
            others' systems.
        is_whole: Whether it is EmoQ as it is proposed.
        note: What else must be known of the row.
    """

    table: int
    system: str
    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None
    encoder: str = "?"
    language: str = "?"
    text: str = "?"
    variant: Mapping[str, str] = field(default_factory=dict)
    is_whole: bool = False
    note: str = ""


def _meld(number: int, what: str, title: str, num_classes: int = 7) -> PublishedTable:
    return PublishedTable(
        number=number,
        what=what,
        title=f"Table {number}: {title}",
        corpus="meld",
        num_classes=num_classes,
        split=OFFICIAL,
    )


TABLES = (
    PublishedTable(
        number=1,
        what=MAIN,
        title="Table 1: IEMOCAP, four classes, 5,531 clips",
        corpus="iemocap",
        num_classes=4,
        split=FOLDS,
    ),
    _meld(2, MAIN, "MELD, four classes", 4),
    _meld(3, MAIN, "MELD, seven classes"),
    _meld(4, INPUT, "what it reads, MELD, seven classes"),
    _meld(5, LOSSES, "losses of stage 1, MELD, seven classes"),
    _meld(6, STAGE1, "stage 1, MELD, seven classes"),
)


def _others(
    table: int, *rows: tuple[str, float | None, float | None, float | None]
) -> tuple[PublishedRow, ...]:
    """Return rows of others, whose encoders and texts the table does not give."""
    return tuple(
        PublishedRow(table=table, system=system, wa=wa, ua=ua, wf1=wf1)
        for system, wa, ua, wf1 in rows
    )


def _emoq(
    table: int,
    system: str,
    scores: tuple[float, float, float | None],
    **variant: str,
) -> PublishedRow:
    wa, ua, wf1 = scores
    reads = variant.get("input", "emoq")
    return PublishedRow(
        table=table,
        system=system,
        wa=wa,
        ua=ua,
        wf1=wf1,
        encoder="none" if reads == "text" else HUBERT,
        language=QWEN,
        text="none" if reads == "audio" else "gold",
        variant=variant,
        is_whole=not variant,
    )


_WHOLE = (0.676, 0.508, 0.665)  # MELD, seven classes

ROWS = (
    PublishedRow(table=1, system="HuBERT large (2021)", wa=0.667, ua=0.674, encoder="HuBERT large"),
    *_others(
        1,
        ("Co-attention (2022)", 0.698, 0.711, None),
        ("SpeechFormer++ (2023)", 0.705, 0.715, None),
        ("MSTR (2023)", 0.706, 0.716, None),
        ("ENT (2024)", 0.724, 0.730, None),
        ("MFSN (2024)", 0.719, 0.740, None),
        ("Vesper-12 (2024)", 0.707, 0.708, None),
    ),
    _emoq(1, "EmoQ (2025)", (0.744, 0.745, None)),
    PublishedRow(
        table=2,
        system="HuBERT large",
        wa=0.464,
        ua=0.241,
        encoder="HuBERT large",
        note="EmoBox's figures, of seven classes",
    ),
    *_others(
        2,
        ("MetricAug (2023)", None, None, 0.529),
        ("EAMT (2023)", None, 0.452, 0.444),
        ("FMASR (2024)", None, 0.563, None),
        ("GSER (2024)", 0.630, None, None),
        ("LLM-CL (2025)", 0.614, 0.526, 0.599),
    ),
    _emoq(2, "EmoQ", (0.736, 0.572, 0.716)),
    *_others(
        3,
        ("MSTR", None, None, 0.462),
        ("SpeechFormer++", 0.510, 0.273, 0.470),
        ("DST", None, None, 0.488),
        ("DWFormer", None, None, 0.485),
        ("Vesper-12", 0.535, 0.268, 0.480),
        ("DropFormer", None, None, 0.493),
    ),
    _emoq(3, "EmoQ", _WHOLE),
    _emoq(4, "audio", (0.478, 0.263, 0.436), input="audio"),
    _emoq(4, "text", (0.637, 0.429, 0.600), input="text"),
    _emoq(4, "both, without Q-Former", (0.645, 0.453, 0.617), input="both"),
    _emoq(4, "both, with Q-Former", _WHOLE),
    _emoq(5, "none", (0.623, 0.412, 0.582), mal="none"),
    _emoq(5, "focal", (0.657, 0.494, 0.642), mal="focal"),
    _emoq(5, "contrastive", (0.640, 0.446, 0.608), mal="scl"),
    _emoq(5, "both", _WHOLE),
    _emoq(6, "without stage 1", (0.649, 0.506, 0.633), stage1="without"),
    _emoq(6, "with stage 1", _WHOLE),
)


def rows_of_table(number: int) -> list[PublishedRow]:
    """Return the rows of a table, in the order of the paper."""
    return [row for row in ROWS if row.table == number]
