"""RAVDESS, speech, audio only (Livingstone & Russo 2018): 24 actors, 8 emotions, 1440 clips.

A file name is seven numbers, e.g. `03-01-06-01-02-01-12.wav`: modality, channel, emotion,
intensity, statement, repetition, actor.
"""

import re
from itertools import product
from pathlib import Path

import pandas as pd

from pipeline.corpora.folders import (
    Corpus,
    count_note,
    find_recordings,
    first_of_each,
    read_headers,
)

NAME = re.compile(r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def read_ravdess(folder: Path) -> Corpus:
    """Return the speech clips below a folder; songs and videos there are passed over.

    Raises:
        ManifestError: If the folder holds no recordings.
    """
    found, notes = first_of_each(p for p in find_recordings(folder) if NAME.fullmatch(p.stem))
    matched = [(p, m) for name, p in found.items() if (m := NAME.fullmatch(name))]
    rows = [
        {
            "utterance_id": path.stem,
            "path": path.relative_to(folder).as_posix(),
            "corpus": "ravdess",
            "speaker": f"actor_{actor}",
            "emotion": EMOTIONS[emotion],
            "gender": "male" if int(actor) % 2 else "female",
            "intensity": INTENSITIES[intensity],
            "language": "en",
            "text": STATEMENTS[statement],
        }
        for path, match in matched
        for emotion, intensity, statement, _, actor in [match.groups()]
    ]
    table = pd.DataFrame(rows).join(read_headers([path for path, _ in matched]))
    return Corpus(
        table=table.sort_values("utterance_id", ignore_index=True) if rows else table,
        notes=count_note("clips", found, _expected()) + notes,
    )


def _expected() -> list[str]:
    """All 1440 names: neutral has no strong intensity."""
    return [
        f"03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}"
        for actor in range(1, 25)
        for emotion, intensity, statement, repetition in product(
            EMOTIONS, INTENSITIES, STATEMENTS, ("01", "02")
        )
        if (emotion, intensity) != ("01", "02")
    ]
