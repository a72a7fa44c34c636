"""`genser predict` with a head that reads text: heard by a recogniser, or given."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import soundfile

from helpers.commands import genser, refused
from helpers.emoq import SAID, config_of, make
from helpers.recognisers import save_whisper
from helpers.training import train_into
from pipeline.heads.saved import load_head
from pipeline.manifests.texts import GOLD
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.transcription.recogniser import load_recogniser

FEW = ("-S", "transcribe.max_new_tokens=5")


class Texts(NamedTuple):
    """A recogniser, clips, and heads that read the texts of others."""

    folder: Path
    whisper: Path
    heard: list[str]
    probabilities: list[float]

    def head(self, name: str) -> tuple[str, Path]:
        return "--head", self.folder / name

    def clips(self) -> list[Path]:
        return sorted(self.folder.glob("*.wav"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory, make_wav: Callable[..., Path]) -> Texts:
    folder = tmp_path_factory.mktemp("texts")
    clips = [make_wav(folder / f"{i}.wav", 0.4 + i, seed=i) for i in range(2)]
    whisper = save_whisper(folder / "whisper")
    recogniser = load_recogniser(
        str(whisper), compute_dtype="float32", device="cpu", max_new_tokens=5
    )
    heard = recogniser.transcribe([soundfile.read(clip, dtype="float32")[0] for clip in clips])
    made = make(folder / "corpus")
    config = config_of(made, input="text", num_steps=20)
    for name, sources in {
        "heard": [recogniser.source],
        "gold": [""],
        "mixed": ["", recogniser.source],
        "gone": [f"{folder / 'nobody'}@0123456789ab"],
        "other": [f"{whisper}@0123456789ab"],
    }.items():
        table = made.corpus.manifest.table
        table = table.assign(text_source=[sources[i % len(sources)] for i in range(len(table))])
        steps = config if name == "heard" else replace(config, num_steps=1, eval_every=1)
        manifest = replace(made.corpus.manifest, table=table)
        train_into(folder / name, manifest, made.corpus.store, steps)
    said = made.corpus.manifest.table[:2].assign(text=heard, text_source=recogniser.source)
    predictions = score_manifest(
        replace(made.corpus.manifest, table=said),
        {},
        load_head(folder / "heard"),
        ScoreConfig(),
        device="cpu",
    )
    column = predictions.table.to_pandas()["probability.angry"]
    return Texts(folder, whisper, heard, column.tolist())


def test_it_hears_and_answers_as_score_does_of_the_text(texts: Texts) -> None:
    result = genser(*FEW, "predict", *texts.clips(), *texts.head("heard"), "--json")
    assert result.exit_code == 0, result.output
    answers = json.loads(result.stdout)
    assert [answer["text"] for answer in answers] == texts.heard
    found = [answer["probabilities"]["angry"] for answer in answers]
    assert found == pytest.approx(texts.probabilities, abs=1e-6)
    shown = genser(*FEW, "predict", texts.clips()[0], *texts.head("heard")).stdout
    assert f"  text: {texts.heard[0]!r}" in shown.splitlines()


def test_a_text_can_be_given_instead(texts: Texts) -> None:
    for label in SAID:
        words = ("--text", SAID[label][0], "--json")
        result = genser("predict", texts.clips()[0], *texts.head("heard"), *words)
        (answer,) = json.loads(result.stdout)
        assert (answer["text"], answer["predicted"]) == (SAID[label][0], label)


@pytest.mark.parametrize("name", ["gold", "mixed", "gone", "other"])
def test_a_recogniser_can_be_named(texts: Texts, name: str) -> None:
    words = ("--recogniser", texts.whisper, "--json")
    result = genser(*FEW, "predict", texts.clips()[1], *texts.head(name), *words)
    assert json.loads(result.stdout)[0]["text"] == texts.heard[1]


def test_who_is_to_hear_is_asked_for_in_one_line(texts: Texts) -> None:
    def told(name: str, *words: object) -> str:
        return refused(*FEW, "predict", *texts.clips(), *texts.head(name), *words)

    cure = "; wanted one recogniser to hear the recording; give --recogniser FOLDER or --text TEXT."
    assert f"was trained on texts of: {GOLD}{cure}" in told("gold")
    assert f"was trained on texts of: {GOLD}, {texts.whisper}@" in told("mixed")
    gone = told("gone")
    assert "no such folder, wanted a folder, or a model of the hub" in gone
    assert gone.endswith("was trained on its texts; give --recogniser or --text.\n")
    assert "is another recogniser than the one whose texts this head was trained on" in told(
        "other"
    )
    bfloat16 = ("-S", "transcribe.compute_dtype=bfloat16")
    other = refused(*FEW, *bfloat16, "predict", *texts.clips(), *texts.head("heard"))
    assert "with transcribe.compute_dtype bfloat16 and max_new_tokens" in other
    assert "; give the parameters that 'genser transcribe' had (--params), restore" in other
    assert "is the text of one recording, found 2 recordings" in told("heard", "--text", "a")


def test_a_bad_recording_has_its_outcome(
    texts: Texts, tmp_path: Path, make_wav: Callable[..., Path]
) -> None:
    clips = [tmp_path / "none.wav", make_wav(tmp_path / "long.wav", 31), *texts.clips()]
    result = genser(*FEW, "predict", *clips, *texts.head("heard"))
    assert result.exit_code == 3
    missing, too_long = result.stderr.splitlines()
    assert f"{clips[0]}: missing: no such file" in missing
    assert f"{clips[1]}: too_long: 31.0 s are longer than the 30 s" in too_long
    assert all(repr(text) in result.stdout for text in texts.heard)


def test_a_head_that_reads_no_text_takes_none(here: Path, texts: Texts) -> None:
    clip = texts.clips()[0]
    wanted = "this head reads no text, wanted one that does; leave it out."
    assert f"--text: {wanted}" in refused("predict", clip, "--head", "head", "--text", "a")
    words = ("--recogniser", texts.whisper)
    assert f"--recogniser: {wanted}" in refused("predict", clip, "--head", "head", *words)
