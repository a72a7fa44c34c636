import os
import sys

# Read once, when torch and transformers are first imported.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["HF_HUB_OFFLINE"] = "1"

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import settings

from helpers.extraction import run as extract_small
from helpers.extraction import table, tree
from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.heads.catalogue import head_kinds
from pipeline.heads.needs import LAYERS_OF_A_CLIP
from pipeline.heads.standardiser import Standardiser
from pipeline.manifests.manifest import write_manifest
from pipeline.sources.in_memory import InMemory
from pipeline.training import checkpoints

# A second thread gains nothing at these sizes, and beside another busy process it stalls.
torch.set_num_threads(1)
# No test is timed: a busy machine fails none.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["helpers.commands", "helpers.uneven_corpora"]

MakeWav = Callable[..., Path]
Install = Callable[[str, str, dict[str, str]], None]


class SmallCorpus(NamedTuple):
    """A manifest and the folder of its recordings."""

    manifest: Path
    audio: Path


def _make_wav(
    path: Path, seconds: float = 1.0, seed: int = 0, rate: int = 16000, channels: int = 1
) -> Path:
    """Write a sine in noise, another in each channel; the suffix chooses the format."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    pitches = generator.uniform(100, 400, channels)
    tones = 0.3 * np.sin(2 * np.pi * pitches * times[:, None])
    samples = tones + 0.05 * generator.standard_normal(tones.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


class ArrayFeatures:
    """Dense features of one array, as a store would give them."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def read(
        self,
        rows: np.ndarray,
        view: str = "layers",
        codes_as: str = "means",
        layers: Sequence[int] | None = None,
    ) -> np.ndarray:
        return self.values[rows] if layers is None else self.values[rows][:, list(layers)]

    def dense(
        self,
        rows: np.ndarray,
        view: str,
        codes_as: str = "means",
        layers: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        return self.read(rows, view, codes_as, layers), np.arange(len(rows))

    def texts(self, column: str, rows: np.ndarray) -> list[str]:
        return [f"{column} {row}" for row in rows]

    @property
    def has_features(self) -> np.ndarray:
        return np.ones(len(self.values), dtype=bool)

    def groups(self, over: str) -> np.ndarray:
        return np.full(len(self.values), over)


@pytest.fixture(autouse=True)
def every_state_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each look at dev, whatever it takes: tests stop trainings between two of them."""
    monkeypatch.setattr(checkpoints, "SPARED", 0.0)


@pytest.fixture(scope="session")
def array_features() -> type[ArrayFeatures]:
    return ArrayFeatures


@pytest.fixture(scope="session")
def array_source() -> Callable[..., InMemory]:
    """Makes the source of dense features, standardised if something is given to do it."""

    def make(values: np.ndarray, standardiser: Standardiser | None = None) -> InMemory:
        rows = np.arange(len(values))
        source = InMemory(ArrayFeatures(values), rows, [LAYERS_OF_A_CLIP], (), device="cpu")
        if standardiser is not None:
            source.use({"layers": standardiser})
        return source

    return make


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def make_wav() -> MakeWav:
    return _make_wav


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_seeded_encoder(folder, size="tiny")
    return folder


@pytest.fixture(scope="session")
def whisper_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whisper")
    save_seeded_encoder(folder, family="whisper")
    return folder


@pytest.fixture
def speech_folder(tmp_path: Path) -> Path:
    """A folder with three mono WAVs of .3, .7 and 1.2 s at 16 kHz: a.wav, b.wav, c.wav."""
    for seed, (name, seconds) in enumerate([("a", 0.3), ("b", 0.7), ("c", 1.2)]):
        _make_wav(tmp_path / "speech" / f"{name}.wav", seconds, seed)
    return tmp_path / "speech"


@pytest.fixture
def corpus(tmp_path: Path) -> SmallCorpus:
    """Twelve clips of .3 to 1.2 s: a speaker per split, two angry and two sad clips each."""
    audio = tmp_path / "audio"
    rows = []
    for i in range(12):
        split = ("train", "dev", "test")[i // 4]
        name = f"{split}_{i % 4}"
        path = _make_wav(audio / split / f"{name}.wav", round(0.3 + i * 0.9 / 11, 2), seed=i)
        rows.append(
            {
                "utterance_id": name,
                "path": path.relative_to(audio).as_posix(),
                "corpus": "small",
                "speaker": f"speaker_{split}",
                "split": split,
                "emotion": ("angry", "sad")[i % 2],
                "gender": "female",
            }
        )
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, pd.DataFrame(rows))
    return SmallCorpus(manifest, audio)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module, as pip leaves it on the disk, until the test is over.

    Called with the module's name, its text, and for each group of entry points its lines.
    """
    names = []

    def installed(name: str, module: str, groups: dict[str, str]) -> None:
        site = tmp_path / "site" / name
        about = site / f"{name}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{name}.py").write_text(module)
        title = name.replace("_", "-")
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {title}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(
            "".join(f"[{group}]\n{lines}\n" for group, lines in groups.items())
        )
        monkeypatch.syspath_prepend(site)
        names.append(name)
        head_kinds.cache_clear()

    yield installed
    head_kinds.cache_clear()
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that the kernel has; only a power cut would."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def files(tmp_path: Path, make_wav: MakeWav) -> dict[str, Path]:
    """Five clips of .1 to .14 s, one of them with a slash and a space in its id."""
    names = ["b", "a", "d/e f", "c", "é"]
    return {
        name: make_wav(tmp_path / "audio" / f"{i}.wav", 0.1 + i / 100, seed=i)
        for i, name in enumerate(names)
    }


@pytest.fixture
def undisturbed(tmp_path: Path, files: dict[str, Path]) -> dict[str, bytes]:
    extract_small(table(files), tmp_path / "undisturbed")
    return tree(tmp_path / "undisturbed")
