"""A made-up cross-validation of systems of tokens: predictions, systems, scores on dev."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.evaluation.standings import standings_of
from pipeline.experiments.system_files import NUMBERS, TEXTS

CLASSES = ("angry", "calm")
NUM_SPEAKERS, CLIPS_EACH = 12, 10


def predictions(
    skills: Mapping[str, float],
    seeds: tuple[int, ...] = (0,),
    classes: tuple[str, ...] = CLASSES,
) -> pd.DataFrame:
    """Return what systems say that are right about so large a part of each speaker's clips."""
    num = NUM_SPEAKERS * CLIPS_EACH
    labels = np.arange(num) % len(classes)
    speaker = np.arange(num) // CLIPS_EACH
    ease = np.random.default_rng(0).uniform(-0.1, 0.1, NUM_SPEAKERS)[speaker]
    parts = []
    for index, (name, skill) in enumerate(skills.items()):
        for seed in seeds:
            chance = np.random.default_rng(100 * index + seed).random(num)
            said = np.where(chance < skill + ease, labels, (labels + 1) % len(classes))
            parts.append(
                pd.DataFrame(
                    {
                        "system": name,
                        "fold": "1",
                        "seed": seed,
                        "utterance_id": [f"u{i:03d}" for i in range(num)],
                        "corpus": "toy",
                        "speaker": [f"s{i:02d}" for i in speaker],
                        "dialogue": "",
                        "label": [classes[i] for i in labels],
                        "predicted": [classes[i] for i in said],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def system(name: str, **facts: object) -> dict[str, object]:
    """Return a row of systems.csv: codes of layer 1 by k-means with K 16, but for what is given."""
    row: dict[str, object] = {
        **dict.fromkeys(TEXTS, ""),
        **dict.fromkeys(NUMBERS, np.nan),
        "system": name,
        "head": "tokens",
        "views": "codes-16",
        "input": "codes",
        "source": "view",
        "encoder": "an encoder",
        "layers": "1",
        "positions": "0",
        "embedding": "centroids",
        "fusion": "attention",
        "fuse_at": "clips",
        "num_codes": 16,
        "codebooks": 1,
        "frames_per_s": 50.0,
        "bits_per_s": 200.0,
        "bytes_per_s": 100.0,
        "acoustics": False,
    }
    return {**row, **facts}


FRAMES = {"input": "frames", "source": "audio", "num_codes": np.nan, "views": "frames"}
BOTH = {"layers": "1 2", "positions": "0 1", "codebooks": 2}

SKILLS = {
    "f1": 0.80,
    "c1": 0.65,
    "f2": 0.85,
    "c2": 0.70,
    "f12": 0.88,
    "c12": 0.75,
    "c12+": 0.80,
    "c2+": 0.72,
    "alone": 0.60,
    "enc": 0.62,
    "enc+": 0.68,
}
DEV = {name: skill - 0.05 for name, skill in SKILLS.items()}


def systems() -> pd.DataFrame:
    """Return the facts of `SKILLS`: two layers, codes and frames, joined, acoustics, a codec."""
    second = {"layers": "2", "positions": "1"}
    codec = {"source": "audio", "encoder": "encodec:x", "codebooks": 2, "layers": "0 1"}
    codec |= {"positions": "0 1", "num_codes": 1024, "bits_per_s": 1500.0}
    alone = {"input": "none", "source": "audio", "encoder": "opensmile:x", "layers": ""}
    alone |= {"positions": "", "num_codes": np.nan, "codebooks": np.nan, "acoustics": True}
    rows = [
        system("f1", **FRAMES),
        system("c1"),
        system("f2", **FRAMES, **second),
        system("c2", **second),
        system("f12", **FRAMES, **BOTH),
        system("c12", **BOTH, bits_per_s=400.0),
        system("c12+", **BOTH, acoustics=True, bits_per_s=1200.0),
        system("c2+", **second, acoustics=True, bits_per_s=1000.0),
        system("alone", **alone),
        system("enc", **codec),
        system("enc+", **codec, acoustics=True),
    ]
    return pd.DataFrame(rows)


def write_crossval(folder: Path, *, with_dev: bool = True) -> Path:
    """Write what `genser crossval` leaves of these systems."""
    folder.mkdir(parents=True, exist_ok=True)
    table = predictions(SKILLS)
    is_joined = table["system"] == "c12"
    share = np.where(is_joined, np.linspace(0.1, 0.5, len(table)), np.nan)
    table = table.assign(**{"attention.0": share, "attention.1": 1 - share})
    table.to_parquet(folder / "predictions.parquet")
    systems().to_csv(folder / "systems.csv", index=False)
    standings_of(table, cluster="speaker", margin=0.02).table().to_csv(
        folder / "standings.csv", index=False
    )
    dev = pd.DataFrame({"system": list(DEV), "fold": "1", "seed": 0})
    if with_dev:
        dev["dev_macro_f1"] = list(DEV.values())
    dev.to_csv(folder / "dev.csv", index=False)
    return folder
