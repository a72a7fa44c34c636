"""Fine-tuning from recordings to a folder: what it learns, what it writes, how it goes on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from helpers.encoders import edit_json, hubert_at, whisper_at
from helpers.tuning import RATE, save_small, save_tones, settings, tune
from pipeline.audio.segments import Segment
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.finetuned import read_finetuned
from pipeline.errors import AudioError, EncoderError, ManifestError, ParamsError
from pipeline.extraction.encoding import decode
from pipeline.finetuning.waveforms import HELD_S, waveform_of
from pipeline.manifests.labels import LabelMap

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("hubert"), "hubert")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("whisper"), "whisper")


@pytest.fixture(scope="module")
def tuned(tones: Path, hubert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    tune(tones, settings(hubert), out)
    return out


def test_a_task_that_can_be_heard_is_learnt(hubert, tmp_path):
    rates = {"learning_rate": 1e-2, "head_learning_rate": 1e-2}
    config = settings(hubert, num_steps=60, eval_every=20, num_blocks=2, **rates)
    selection = tune(save_tones(tmp_path / "more", num_each=32), config, tmp_path / "out")
    assert selection.dev["macro_f1"] > 0.8
    assert selection.curves["train_loss"].iloc[-1] < selection.curves["train_loss"].iloc[0]


def test_a_number_that_can_be_heard_is_learnt_and_the_scale_recorded(hubert, tmp_path):
    rates = {"learning_rate": 1e-2, "head_learning_rate": 1e-2}
    tones = save_tones(tmp_path / "more", num_each=32)
    words = {"task": "octave", "label_map": LabelMap(numbers=True)}
    with pytest.raises(ParamsError, match=r"finetune.select_by: 'macro_f1' is for classes, and"):
        tune(tones, settings(hubert), tmp_path / "out", **words)
    more = {"num_steps": 60, "eval_every": 20, "num_blocks": 2, "balance": "none", **rates}
    selection = tune(tones, settings(hubert, select_by="ccc", **more), tmp_path / "out", **words)
    assert selection.dev["ccc"] > 0.8
    assert set(selection.dev) == {"ccc", "pearson", "rmse"}
    record = read_finetuned(tmp_path / "out").record
    table = pd.read_csv(tones)
    octaves = table["octave"][table["split"] == "train"]
    assert record["scale"] == {"low": octaves.min(), "high": octaves.max()}
    open_encoder(str(tmp_path / "out"), compute_dtype="float32", device="cpu")


def test_only_the_last_block_is_new_and_all_else_bit_equal(hubert, tuned):
    before, after = (load_file(f / "model.safetensors") for f in (hubert, tuned))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("hubert.encoder.layers.2.") for name in changed)


def test_layers_below_the_tuned_block_are_the_original_s(hubert, tuned):
    sound = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    (before,), (after,) = (hubert_at(f).encode([sound], [0, 1, 2, 3]) for f in (hubert, tuned))
    assert before.frames is not None
    assert after.frames is not None
    assert torch.equal(before.frames[:, :3], after.frames[:, :3])
    assert not torch.equal(before.frames[:, 3], after.frames[:, 3])


def test_the_folder_is_the_checkpoint_s_class_with_its_keys_and_files(hubert, tuned):
    before, after = (json.loads((f / "config.json").read_text()) for f in (hubert, tuned))
    assert after.pop("genser_finetuned") == read_finetuned(tuned).digest
    assert before == after
    assert after["architectures"] == ["HubertForCTC"]
    names = {path.name for path in tuned.iterdir()}
    assert names == {
        *("config.json", "model.safetensors", "preprocessor_config.json", "vocab.json"),
        *("finetune.json", "curves.tsv", "curves.png"),
    }


def test_a_whisper_stays_whole_its_decoder_as_it_was(tones, whisper, tmp_path):
    config = settings(whisper, num_steps=2, eval_every=2, batch_size=2)
    tune(save_tones(tmp_path / "few", num_each=2), config, tmp_path / "out")
    before, after = (load_file(f / "model.safetensors") for f in (whisper, tmp_path / "out"))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("model.encoder.layers.2.") for name in changed)
    sound = np.random.default_rng(0).standard_normal(6000).astype(np.float32)
    (old,), (new,) = (whisper_at(f).encode([sound], [2]) for f in (whisper, tmp_path / "out"))
    assert torch.equal(old.frames, new.frames)


def test_half_precision_weights_are_written_in_float32_with_their_values(tones, hubert, tmp_path):
    half = Path(shutil.copytree(hubert, tmp_path / "half"))
    weights = {n: w.half() for n, w in load_file(half / "model.safetensors").items()}
    from safetensors.torch import save_file

    save_file(weights, half / "model.safetensors", metadata={"format": "pt"})
    edit_json(half / "config.json", dtype="float16")
    tune(tones, settings(half, num_steps=2, eval_every=2), tmp_path / "out")
    after = load_file(tmp_path / "out/model.safetensors")
    name = "hubert.encoder.layers.0.attention.k_proj.weight"
    assert torch.equal(after[name], weights[name].float())
    assert json.loads((tmp_path / "out/config.json").read_text())["dtype"] == "float32"


def test_an_adapted_encoder_is_written_without_adapters(tones, hubert, tmp_path):
    config = settings(hubert, method="lora", num_blocks=0, learning_rate=1e-2)
    tune(tones, config, tmp_path / "out")
    before, after = (load_file(f / "model.safetensors") for f in (hubert, tmp_path / "out"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {
        f"hubert.encoder.layers.{i}.attention.{which}_proj.weight"
        for i in range(3)
        for which in "qv"
    }
    assert "peft" in read_finetuned(tmp_path / "out").record["versions"]


def test_what_it_saw_is_recorded(tones, tuned):
    record = read_finetuned(tuned).record
    table = pd.read_csv(tones)
    for part, key in (("train", "fit_ids"), ("dev", "dev_ids")):
        assert record[key] == sorted(table["utterance_id"][table["split"] == part])
    assert record["classes"] == ["high", "low"]
    assert record["finetune"]["num_blocks"] == 1
    assert set(record["dev"]) == {"ua", "wa", "wf1", "macro_f1"}
    assert record["weights"] == hubert_at(tuned).identity["weights"]
    assert len(record["fit_audio"]) == len(record["fit_ids"])


def test_an_encoder_of_the_hub_brings_its_files_and_a_tuned_one_must_be_a_folder(
    tones, hubert, tuned, tmp_path, monkeypatch
):
    # transformers reads a folder that is called a hub id all the same.
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: name)
    tune(tones, settings(f"hf://{hubert}"), tmp_path / "out")
    assert (tmp_path / "out/vocab.json").read_bytes() == (hubert / "vocab.json").read_bytes()
    with pytest.raises(EncoderError, match=r"was fine-tuned; download it whole, with finetune"):
        open_encoder(f"hf://{tuned}", compute_dtype="float32", device="cpu")

    def unreachable(name, **_):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(EncoderError, match=r"the files beside the weights of .* cannot be had"):
        tune(tones, settings(f"hf://{hubert}"), tmp_path / "out2")


def test_an_encoder_that_was_tuned_before_remembers_all_it_has_seen(tones, tuned, tmp_path):
    table = pd.read_csv(tones, dtype="str")
    other = table.assign(utterance_id="other_" + table["utterance_id"])
    other.to_csv(tones.parent / "other.csv", index=False)
    tune(tones.parent / "other.csv", settings(tuned), tmp_path / "twice")
    ids = read_finetuned(tmp_path / "twice").fit_ids
    first = read_finetuned(tuned).fit_ids
    assert ids == sorted([*first, *(f"other_{i}" for i in first)])


def test_an_encoder_that_has_seen_dev_or_test_is_refused(tones, tuned, tmp_path):
    table = pd.read_csv(tones, dtype="str")
    turned = table["split"].map({"train": "test", "test": "train", "dev": "dev"})
    table.assign(split=turned).to_csv(tones.parent / "turned.csv", index=False)
    message = "16 clips of dev and test are among those that the encoder was fine-tuned on before"
    with pytest.raises(ManifestError, match=message):
        tune(tones.parent / "turned.csv", settings(tuned), tmp_path / "out")


def test_waveforms_are_those_that_extraction_gives_its_encoder(tones, hubert):
    encoder = hubert_at(hubert)
    segment = Segment(path=tones.parent / "audio/train_0.wav")
    clip = decode(segment, encoder, 30.0).clip
    wanted = (clip.waveform - clip.mean) / np.sqrt(clip.variance + 1e-7)
    np.testing.assert_array_equal(waveform_of(segment, encoder), wanted.astype(np.float32))


def test_of_a_very_long_clip_the_middle_minute_is_seen(hubert, tmp_path):
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, int(90 * RATE)).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", sound, RATE, subtype="FLOAT")
    found = waveform_of(Segment(path=tmp_path / "long.wav"), hubert_at(hubert))
    middle = sound[int(15 * RATE) : int((15 + HELD_S) * RATE)]
    wanted = (middle - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_recording_that_cannot_be_used_is_skipped_with_its_reason(hubert, tmp_path):
    manifest = save_tones(tmp_path)
    (tmp_path / "audio/train_0.wav").write_bytes(b"RIFF")
    (tmp_path / "audio/dev_1.wav").unlink()
    tune(manifest, settings(hubert), tmp_path / "out")
    record = read_finetuned(tmp_path / "out").record
    assert "train_0" not in record["fit_ids"]
    assert "dev_1" not in record["dev_ids"]


def test_a_recording_that_goes_while_it_trains_is_named(hubert, tones, tmp_path):
    gone = Segment(path=tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="no such file"):
        waveform_of(gone, hubert_at(hubert))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["split"] != "train"], "no row of split 'train' has a label"),
        (lambda t: t[t["split"] != "dev"], "and a usable recording, wanted some"),
        (lambda t: t.assign(emotion="low"), "only the class 'low'"),
        (lambda t: t.assign(speaker="one"), "speakers are in more than one split"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(tones, hubert, tmp_path, change, message):
    changed = tones.parent / "changed.csv"
    change(pd.read_csv(tones, dtype="str")).to_csv(changed, index=False)
    with pytest.raises(ManifestError, match=message):
        tune(changed, settings(hubert), tmp_path / "out")


def test_places_and_lengths_that_cannot_be_are_refused(tones, hubert, whisper, tmp_path):
    with pytest.raises(EncoderError, match="is the encoder's own folder"):
        tune(tones, settings(hubert), hubert)
    with pytest.raises(EncoderError, match=r"max_s: .* takes 30 seconds at once, found 31"):
        tune(tones, settings(whisper, max_s=31.0), tmp_path / "out")


def test_the_folder_opens_whole_for_every_family(tmp_path):
    few = save_tones(tmp_path / "few", num_each=2)
    for family in ("wavlm", "wav2vec2", "data2vec-audio"):
        encoder = save_small(tmp_path / family, family)
        out = tmp_path / f"{family}-out"
        config = settings(encoder, num_steps=2, eval_every=2, freeze_front=False, num_blocks=0)
        tune(few, config, out)
        opened = open_encoder(str(out), compute_dtype="float32", device="cpu")
        assert opened.identity["family"] == family
        assert opened.fit_ids == tuple(f"train_{i}" for i in range(4))
