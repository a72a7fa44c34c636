"""Corpora and encoders of another package, through the commands."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pipeline.store.reader import FeatureStore
from stages.cli import main

CORPUS = """
from pipeline.corpora.importer import Importer


def describe(path):
    speaker, label, number = path.stem.split("_")
    return {"speaker": speaker, "emotion": label}


TOY = Importer(
    name="toy", title="Toy", language="en", classes=("calm", "sad"), num_clips=8, num_speakers=4,
    hours=None, licence="none", citation="nobody", source="nowhere", wants="the folder",
    describe=describe,
)
"""
ENCODER = """
import torch
from pipeline.encoders.base import Encoded, Encoder, EncoderKind, Outline
from pipeline.encoders.pooling import Moments


class Loudness(Encoder):
    layer_convention = "samples, times a gain"
    sample_rate = 16000
    min_samples = 1

    def __init__(self, spelling):
        self.gain = float(spelling.partition(":")[2] or 1)
        self.outline = outline(spelling)
        self.identity = {"family": "loudness", "gain": self.gain}

    def encode(self, waveforms, frames_of=()):
        found = []
        for waveform in waveforms:
            row = torch.tensor([[self.gain * float(abs(waveform).mean())]])
            found.append(Encoded(moments=Moments(1, row, torch.zeros_like(row))))
        return found


def outline(spelling):
    return Outline(num_layers=1, dim=1, compute_dtypes=("float32",))


def open_encoder(spelling, *, compute_dtype, device):
    return Loudness(spelling)


LOUDNESS = EncoderKind(outline=outline, open=open_encoder)
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def toys(install) -> None:
    """A package with a corpus and an encoder."""
    groups = {
        "genser.corpora": "toy = toys:TOY",
        "genser.encoders": "loudness = toys:LOUDNESS",
    }
    install("toys", CORPUS + ENCODER, groups)


@pytest.fixture
def folder(tmp_path: Path, make_wav) -> Path:
    """Eight clips of four speakers, as a corpus of that package names them."""
    for seed in range(8):
        name = f"s{seed // 2}_{('calm', 'sad')[seed % 2]}_{seed}.wav"
        make_wav(tmp_path / "toy" / name, 0.3, seed)
    return tmp_path / "toy"


@pytest.mark.usefixtures("toys")
def test_a_corpus_of_another_package_is_prepared_by_name(folder, tmp_path):
    assert run("prepare", "toy", folder, "-o", tmp_path / "toy.csv").exit_code == 0
    table = pd.read_csv(tmp_path / "toy.csv", dtype="str")
    assert table["utterance_id"].tolist() == sorted(path.stem for path in folder.iterdir())
    assert set(table["corpus"]) == {"toy"}
    assert table.groupby("speaker")["split"].nunique().max() == 1


@pytest.mark.usefixtures("toys")
def test_a_corpus_that_nobody_has_is_refused_with_the_names_there_are(tmp_path):
    told = run("prepare", "tuy", tmp_path, "-o", tmp_path / "toy.csv")
    assert told.exit_code == 1
    assert "CORPUS: 'tuy' is not one of ['demo', 'ravdess'," in told.output
    assert (
        "'toy', 'emobox', 'kaldi', 'audformat', 'audiofolder', 'folders', 'table']" in told.output
    )


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("emobox = toys:TOY", "the name 'emobox' is taken by genser itself"),
        ("toy = toys:describe", "toys:describe is of the kind function, wanted pipeline.corpora."),
        ("toy = toys:GONE", "toys:GONE cannot be imported (AttributeError"),
    ],
)
def test_a_corpus_that_does_not_fit_is_one_line(install, tmp_path, point, message):
    install("toys", CORPUS, {"genser.corpora": point})
    told = run("prepare", "folders", tmp_path, "-o", tmp_path / "toy.csv")
    assert told.exit_code == 1
    assert message in told.output
    assert told.output.count("\n") == 1


@pytest.mark.parametrize(("spelling", "gain"), [("loudness", 1), ("loudness:8", 8)])
@pytest.mark.usefixtures("toys")
def test_an_encoder_of_another_package_extracts(folder, tmp_path, spelling, gain):
    manifest, store = tmp_path / "toy.csv", tmp_path / "features"
    assert run("prepare", "toy", folder, "-o", manifest).exit_code == 0
    settings = ("-S", f"extract.encoder={spelling}", "-S", "extract.stored_dtype=float32")
    words = (*settings, "extract", manifest, "--audio-root", folder, "--store", store)
    told = run(*words)
    assert told.exit_code == 0, told.output
    view = FeatureStore.open(store).view("layers")
    (first,) = view.read([view.records["utterance_id"].iloc[0]])
    assert 0.02 * gain < first.item() < 0.5 * gain
    assert run("-S", f"extract.encoder={spelling}0", *words[2:]).exit_code == 1


@pytest.mark.usefixtures("toys")
def test_an_encoder_s_outline_holds_its_settings(tmp_path, folder):
    manifest = tmp_path / "toy.csv"
    assert run("prepare", "toy", folder, "-o", manifest).exit_code == 0
    told = run(
        *("-S", "extract.encoder=loudness", "-S", "extract.compute_dtype=float16"),
        *("extract", manifest, "--audio-root", folder, "--store", tmp_path / "features"),
    )
    assert told.exit_code == 1
    assert "the encoder loudness takes 'float32', found 'float16'" in told.output


@pytest.mark.usefixtures("toys")
def test_a_folder_of_an_encoder_s_name_is_spelled_with_its_place():
    from pipeline.encoders.catalogue import is_at_hand

    assert is_at_hand("loudness")
    assert not is_at_hand("./loudness")
