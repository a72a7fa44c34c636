"""Numbers that others have published, to stand beside ours with what differs.

Facts are quoted with where they were read; a cell is None where the source does not give it.
"""

from dataclasses import dataclass

from pipeline.report.published_emoq import EMOQ, rows_of_table

GENSER = "arXiv 2601.20573"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of somebody's table.

    Attributes:
        table: Which of our tables it belongs to.
        system: What its authors call it.
        encoder: What it hears, or reads, with.
        trained_on: Training data, as far as told.
        wa: Accuracy, 0 to 1.
        ua: Mean recall.
        wf1: Weighted F1.
        source: Where the number stands.
    """

    table: str
    system: str
    encoder: str
    trained_on: str
    wa: float | None = None
    ua: float | None = None
    wf1: float | None = None
    source: str


MELD = "MELD, test, seven classes, audio only (Gen-SER, Table 1)"
MELD_TEXT = "MELD, test, seven classes, with gold transcripts (EmoQ)"
GENDER = "AIR-Bench, speaker gender (Gen-SER, Table 2)"
SCORED_ON = {MELD: "MELD, test", MELD_TEXT: "MELD, test", GENDER: "AIR-Bench, speaker gender"}

_OWN = "seven corpora, over half of the clips in-house"

_EMOQ_ROWS = tuple(
    Published(
        table=MELD_TEXT,
        system=f"EmoQ, {row.system}",
        encoder=f"{row.encoder}, text {row.text}, {row.language}",
        trained_on="MELD",
        wa=row.wa,
        ua=row.ua,
        wf1=row.wf1,
        source=f"{EMOQ}, Table 4",
    )
    for row in rows_of_table(4)
)

PUBLISHED = (
    Published(
        table=MELD,
        system="Gen-SER",
        encoder="chinese-hubert-large, frozen",
        trained_on=_OWN,
        wa=0.565,
        source=f"{GENSER}, Table 1",
    ),
    Published(
        table=MELD,
        system="HuBERT + CLS",
        encoder="chinese-hubert-large",
        trained_on=_OWN,
        wa=0.534,
        source=f"{GENSER}, Table 1",
    ),
    Published(
        table=MELD,
        system="emotion2vec",
        encoder="emotion2vec",
        trained_on="?",
        wa=0.519,
        source=f"{GENSER}, Table 1",
    ),
    Published(
        table=MELD,
        system="WavLM + CLS",
        encoder="WavLM",
        trained_on=_OWN,
        wa=0.506,
        source=f"{GENSER}, Table 1",
    ),
    Published(
        table=MELD,
        system="SenseVoice-L",
        encoder="its own; weights not released",
        trained_on="not public",
        wa=0.631,
        ua=0.587,
        wf1=0.657,
        source="FunAudioLLM/SenseVoice, image/ser_table.png",
    ),
    Published(
        table=MELD,
        system="SenseVoice-S",
        encoder="its own",
        trained_on="not public",
        wa=0.578,
        ua=0.508,
        wf1=0.577,
        source="FunAudioLLM/SenseVoice, image/ser_table.png",
    ),
    Published(
        table=MELD,
        system="OSUM",
        encoder="Whisper-medium encoder",
        trained_on="50k hours of eight tasks",
        wa=0.5664,
        source="ASLP-lab/OSUM (Gen-SER quotes .534)",
    ),
    Published(
        table=MELD,
        system="Qwen2-Audio",
        encoder="its own",
        trained_on="not public",
        wa=0.553,
        source="QwenLM/Qwen2.5-Omni, README",
    ),
    Published(
        table=MELD,
        system="Whisper large v3 (EmoBox)",
        encoder="Whisper large v3, frozen",
        trained_on="MELD",
        wa=0.5189,
        ua=0.3154,
        source="EmoBox leaderboard",
    ),
    Published(
        table=MELD,
        system="HuBERT large (EmoBox)",
        encoder="HuBERT large, frozen",
        trained_on="MELD",
        wa=0.4637,
        ua=0.2413,
        source="EmoBox leaderboard",
    ),
    Published(
        table=MELD,
        system="always neutral",
        encoder="none",
        trained_on="none",
        wa=1256 / 2610,
        ua=1 / 7,
        source="counted from MELD's test_sent_emo.csv",
    ),
    *_EMOQ_ROWS,
    Published(
        table=GENDER,
        system="Gen-SER",
        encoder="chinese-hubert-large, frozen",
        trained_on="?",
        wa=0.905,
        source=f"{GENSER}, Table 2, as wizwand.com quotes it",
    ),
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


TOKENS = "Published: MSP-Podcast, eight classes, macro-F1"

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
