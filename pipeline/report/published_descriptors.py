"""What the paper of emotion descriptors (arXiv 2505.23236) prints, as far as it was at hand.

Its tables were not: these are the numbers of its abstract and of what is reported of it. Scores are
mean recalls; of texts the least and the most that it prints, over IEMOCAP, MELD and EMOSEC.
"""

from dataclasses import dataclass

from pipeline.evaluation.java_scores import METEOR, SPICE
from pipeline.evaluation.text_scores import BLEU4, CIDER_D, ROUGE_L

DESCRIPTORS = "arXiv 2505.23236"
HUBERT, LLAMA = "HuBERT-large, frozen", "Llama-3.1-8B-Instruct"
DESCRIPTIONS = "SpeechCraft's, of 739.91 hours of GigaSpeech"
PARTS, CONDITION = "parts", "condition"


@dataclass(frozen=True, kw_only=True)
class PublishedUA:
    """One system on one corpus.

    Attributes:
        table: Which of our tables it stands in: `PARTS` or `CONDITION`.
        system: What it is called here.
        corpus: What it was scored on, as manifests call it.
        ua: Mean recall, 0 to 1; None where the paper prints differences only.
        gain: What it has more than the whole system.
        is_whole: Whether it is the system as it is proposed.
        note: What else must be known.
    """

    table: str
    system: str
    corpus: str
    ua: float | None
    gain: float
    is_whole: bool = False
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PublishedText:
    """The span of a score of descriptions.

    Attributes:
        score: As `pipeline.evaluation` calls it.
        low: The least that is printed: in percent, but for CIDEr.
        high: The most.
        note: What else must be known.
    """

    score: str
    low: float
    high: float
    note: str = ""


TEXT_CORPORA = ("iemocap", "meld", "emosec")  # that the spans of `TEXTS` are over

_DERIVED = "absolute values derived from +4.0 (5.4 % relative) and +3.7 (6.6 %)"
_PROMPT = "printed as what predicted descriptors in the prompt add: +7.0 and +6.8"

UAS = (
    PublishedUA(
        table=PARTS, system="LLM baseline", corpus="iemocap", ua=0.741, gain=-0.040, note=_DERIVED
    ),
    PublishedUA(
        table=PARTS,
        system="disentangled, in alternation",
        corpus="iemocap",
        ua=0.781,
        gain=0.0,
        is_whole=True,
        note=_DERIVED,
    ),
    PublishedUA(
        table=PARTS, system="LLM baseline", corpus="meld", ua=0.561, gain=-0.037, note=_DERIVED
    ),
    PublishedUA(
        table=PARTS,
        system="disentangled, in alternation",
        corpus="meld",
        ua=0.598,
        gain=0.0,
        is_whole=True,
        note=_DERIVED,
    ),
    PublishedUA(
        table=CONDITION,
        system="without descriptors in the prompt",
        corpus="iemocap",
        ua=None,
        gain=-0.070,
        note=_PROMPT,
    ),
    PublishedUA(
        table=CONDITION,
        system="without descriptors in the prompt",
        corpus="meld",
        ua=None,
        gain=-0.068,
        note=_PROMPT,
    ),
)
TEXTS = (
    PublishedText(score=BLEU4, low=10.9, high=11.6),
    PublishedText(score=METEOR, low=15.7, high=16.6),
    PublishedText(score=ROUGE_L, low=27.5, high=28.5),
    PublishedText(score=CIDER_D, low=2.4, high=2.6, note="its scale is not said"),
    PublishedText(score=SPICE, low=8.5, high=9.1),
)
