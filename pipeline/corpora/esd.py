"""ESD (Zhou et al. 2021): 10 speakers of Mandarin and 10 of English, 350 sentences, 5 emotions.

Recordings are `0011/Angry/0011_000351.wav`, in older copies with a folder for each part between:
`0011/Angry/train/0011_000351.wav`. `0011/0011.txt` has the texts.
"""

import re
from pathlib import Path, PurePath

from pipeline.corpora.importer import Corpus, Importer, Row, read_names
from pipeline.files import read_bytes

NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
EMOTIONS = ("neutral", "angry", "happy", "sad", "surprised")  # by number: 350 sentences each
SENTENCES = 350
FIRST_OF_ENGLISH = 11
PARTS = {"train": "train", "evaluation": "dev", "test": "test"}


def describe(path: PurePath) -> Row | None:
    """Return the row of a recording; its number tells the emotion."""
    match = NAME.fullmatch(path.stem)
    number = int(match[2]) - 1 if match else -1
    if not match or not 0 <= number < SENTENCES * len(EMOTIONS):
        return None
    return {
        "speaker": match[1],
        "emotion": EMOTIONS[number // SENTENCES],
        "language": "en" if int(match[1]) >= FIRST_OF_ENGLISH else "zh",
        "official": PARTS.get(path.parent.name, ""),
    }


def read_esd(folder: Path) -> Corpus:
    """Return the clips with texts.

    Raises:
        ManifestError: If recordings are missing.
    """
    corpus = read_names(folder, describe)
    texts: dict[str, str] = {}
    for path in sorted(folder.rglob("00??.txt")):
        lines = (line.split("\t") for line in _decoded(read_bytes(path)).splitlines())
        texts |= {parts[0].strip(): parts[1].strip() for parts in lines if len(parts) > 1}
    text = [texts.get(name, "") for name in corpus.table["utterance_id"]]
    return Corpus(table=corpus.table.assign(text=text), notes=corpus.notes)


def _decoded(data: bytes) -> str:
    """Decode a text of ESD: some of the Mandarin files are in GB 18030 or UTF-16."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


ESD = Importer(
    name="esd",
    title="ESD",
    language="en, zh",
    classes=EMOTIONS,
    num_clips=35000,
    num_speakers=20,
    hours=29.1,
    licence="research only",
    citation="Zhou et al. 2021, doi 10.1109/ICASSP39728.2021.9413391",
    source="https://github.com/HLTSingapore/Emotional-Speech-Data",
    wants="the folder with 0001 to 0020",
    emobox="esd",
    describe=describe,
    tabulate=read_esd,
)
