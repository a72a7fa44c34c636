"""Tables 1 to 3 of the Gen-SER paper (arXiv 2601.20573), every printed row; and others' on MELD."""

from pipeline.report.published import Published, PublishedScores

GENSER = "arXiv 2601.20573"
OWN = "CREMA-D, EmoDB, TESS, SAVEE, RAVDESS, MELD and in-house clips: 52 k, 48 h"
SOUNDWAVE = "quoted from Soundwave, arXiv 2502.12900"


def _row(
    table: int, system: str, wa: float, encoder: str, trained_on: str = "not told", note: str = ""
) -> Published:
    source = f"{GENSER}, Table {table}{note and f', {note}'}"
    return Published(system=system, encoder=encoder, trained_on=trained_on, wa=wa, source=source)


MELD = PublishedScores(
    title="MELD, test, seven classes, audio only (Gen-SER, Table 1)",
    task="emotion",
    corpus="meld",
    num_classes=7,
    splits=("test",),
    rows=(
        _row(1, "WavLM + CLS", 0.506, "WavLM", OWN),
        _row(1, "Hubert + CLS", 0.534, "chinese-hubert-large", OWN),
        _row(1, "emotion2vec", 0.519, "emotion2vec"),
        _row(1, "Qwen-audio", 0.557, "its own"),
        _row(1, "Qwen2-audio", 0.553, "its own"),
        _row(1, "OSUM", 0.534, "Whisper-medium encoder"),
        _row(1, "SenseVoice-L", 0.631, "its own"),
        _row(1, "Gen-SER", 0.565, "chinese-hubert-large, frozen", OWN),
    ),
)
MELD_ELSEWHERE = PublishedScores(
    title="MELD, test, seven classes, audio only, as told elsewhere",
    task="emotion",
    corpus="meld",
    num_classes=7,
    splits=("test",),
    rows=(
        Published(
            system="SenseVoice-L",
            encoder="its own; weights not released",
            trained_on="not public",
            wa=0.631,
            ua=0.587,
            wf1=0.657,
            source="FunAudioLLM/SenseVoice, image/ser_table.png",
        ),
        Published(
            system="SenseVoice-S",
            encoder="its own",
            trained_on="not public",
            wa=0.578,
            ua=0.508,
            wf1=0.577,
            source="FunAudioLLM/SenseVoice, image/ser_table.png",
        ),
        Published(
            system="OSUM",
            encoder="Whisper-medium encoder",
            trained_on="50k hours of eight tasks",
            wa=0.5664,
            source="ASLP-lab/OSUM (Gen-SER quotes .534)",
        ),
        Published(
            system="Whisper large v3 (EmoBox)",
            encoder="Whisper large v3, frozen",
            trained_on="MELD",
            wa=0.5189,
            ua=0.3154,
            source="EmoBox leaderboard",
        ),
        Published(
            system="HuBERT large (EmoBox)",
            encoder="HuBERT large, frozen",
            trained_on="MELD",
            wa=0.4637,
            ua=0.2413,
            source="EmoBox leaderboard",
        ),
        Published(
            system="always neutral",
            encoder="none",
            trained_on="none",
            wa=1256 / 2610,
            ua=1 / 7,
            source="counted from MELD's test_sent_emo.csv",
        ),
    ),
)
GENDER = PublishedScores(
    title="Gender on AIR-Bench (Gen-SER, Table 2)",
    task="gender",
    corpus="air-bench-gender",
    num_classes=2,
    splits=("test", "all"),
    rows=(
        _row(2, "Fbank + CLS", 0.866, "Fbank"),
        _row(2, "WavLM + CLS", 0.875, "WavLM"),
        _row(2, "Qwen2-audio", 0.793, "its own", note=SOUNDWAVE),
        _row(2, "Qwen-audio Turbo", 0.825, "its own", note=SOUNDWAVE),
        _row(2, "Soundwave", 0.903, "its own", note=SOUNDWAVE),
        _row(2, "Gen-SER", 0.905, "chinese-hubert-large", "in-house, 750 k clips, 1023 h"),
    ),
)
# Table 3: accuracy over the number of steps N, of the same clips as Table 1.
STEPS = {1: 0.5613, 2: 0.5617, 4: 0.5625, 10: 0.5628, 20: 0.5644}
STEPS_SOURCE = f"{GENSER}, Table 3: MELD, test, seven classes"
