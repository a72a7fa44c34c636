"""Stores made with a fine-tuned encoder: what they know of it, and what they refuse."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.tuning import save_small, save_tones, settings, tune
from pipeline.encoders.catalogue import open_encoder
from pipeline.encoders.finetuned import RECORD, read_finetuned
from pipeline.errors import EncoderError
from pipeline.files import sealed_json, unseal_json
from pipeline.store.reader import FeatureStore

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


class Made:
    """A corpus, an encoder tuned on it, and a store of what that says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = save_tones(root)
        self.encoder = save_small(root / "encoder", "hubert")
        self.tuned = root / "tuned"
        tune(self.manifest, settings(self.encoder), self.tuned)
        self.store = root / "store"
        result = self.extract(self.tuned, self.store)
        assert result.exit_code == 0, result.output

    def extract(self, encoder: Path, store: Path):
        words = ["-S", f"extract.encoder={encoder}", "extract", self.manifest]
        return genser(*words, "--audio-root", self.root / "audio", "--store", store)

    def turned(self, **splits: str) -> Path:
        """Return the manifest with rows of one split given to another."""
        table = pd.read_csv(self.manifest, dtype="str")
        path = self.root / "turned.csv"
        table.assign(split=table["split"].replace(splits)).to_csv(path, index=False)
        return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("finetuned"))


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """A tuned encoder that a test may spoil."""
    return Path(shutil.copytree(made.tuned, tmp_path / "tuned"))


def open_at(folder: Path) -> None:
    open_encoder(str(folder), compute_dtype="float32", device="cpu")


def test_the_store_knows_which_clips_its_encoder_has_seen(made):
    view = FeatureStore.open(made.store).view("layers")
    found = read_finetuned(made.tuned)
    assert view.recipe["encoder"]["finetuned"] == found.digest
    assert view.fit_ids == frozenset(found.fit_ids)
    assert len(view.fit_ids) == 16


def test_other_encoders_recipes_and_provenance_are_what_they_were(made, tmp_path):
    assert made.extract(made.encoder, tmp_path / "store").exit_code == 0
    view = FeatureStore.open(tmp_path / "store").view("layers")
    assert set(view.recipe["encoder"]) == {"family", "weights", "flags"}
    assert set(view.provenance) == {"encoder", "versions"}


def test_a_head_is_trained_where_the_encoder_saw_training_clips_alone(made, tmp_path):
    words = ["-S", "train.head=linear", "-S", "train.num_steps=5", "train", made.manifest]
    result = genser(*words, "--store", made.store, "--out", tmp_path / "head")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("part", ["dev", "test"])
def test_a_head_is_refused_where_the_encoder_saw_what_would_judge_it(made, tmp_path, part):
    other = {"dev": "test", "test": "dev"}[part]
    manifest = made.turned(train=part, **{part: "train", other: other})
    told = refused("train", manifest, "--store", made.store, "--out", tmp_path / "head")
    assert "16 clips of dev and test were among those that the views ['layers'] were" in told
    assert f"the first 'train_0' of {part}" in told


def test_a_lost_record_is_one_line(copy):
    (copy / RECORD).unlink()
    with pytest.raises(EncoderError, match=r"is not there, and config\.json says .* fine-tuned"):
        open_at(copy)


def test_a_changed_record_is_one_line(copy):
    data = (copy / RECORD).read_bytes()
    (copy / RECORD).write_bytes(data.replace(b"train_1", b"train_x", 1))
    with pytest.raises(EncoderError, match="is damaged, or of another encoder"):
        open_at(copy)


def test_a_record_with_fewer_ids_is_refused_although_sealed(copy):
    record = unseal_json((copy / RECORD).read_bytes())
    record["fit_ids"] = record["fit_ids"][1:]
    (copy / RECORD).write_bytes(sealed_json(record))
    with pytest.raises(EncoderError, match="of another encoder than the one beside it"):
        open_at(copy)


def test_a_record_beside_a_configuration_that_knows_none_is_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    del config["genser_finetuned"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="of another encoder than the one beside it"):
        open_at(copy)


def test_other_weights_beside_a_record_are_refused(made, copy):
    shutil.copy(made.encoder / "model.safetensors", copy / "model.safetensors")
    with pytest.raises(EncoderError, match=r"found weights \w{12}, wanted \w{12} as its finetune"):
        open_at(copy)
    assert "found weights" in refused("verify", copy)


def test_what_is_told_beside_changes_no_recipe(copy):
    before = read_finetuned(copy).digest
    record = unseal_json((copy / RECORD).read_bytes())
    (copy / RECORD).write_bytes(sealed_json({**record, "manifest": "elsewhere.csv"}))
    assert read_finetuned(copy).digest == before


def test_inspect_and_verify_know_the_folder(made):
    facts = json.loads(genser("inspect", made.tuned, "--json").stdout)
    assert facts["kind"] == "fine-tuned encoder"
    assert facts["clips"] == {"fit": 16, "dev": 8}
    assert genser("inspect", made.tuned).exit_code == 0
    assert genser("verify", made.tuned).exit_code == 0


def command(made: Made, out: Path, *words: object) -> list[object]:
    section = [f"encoder={made.encoder}", "num_blocks=1", "num_steps=4", "eval_every=2"]
    settings = [word for part in section for word in ("-S", f"finetune.{part}")]
    roots = ["--audio-root", made.root / "audio"]
    return [*settings, *words, "finetune", made.manifest, *roots, "--out", out]


def test_the_command_does_it_and_a_dry_run_says_what_it_takes(made, tmp_path):
    told = genser(*command(made, tmp_path / "out"), "--dry-run")
    assert told.exit_code == 0, told.output
    assert "4 steps of 32 clips, 8.0 times through 16 training clips, 2 classes" in told.stdout
    assert "trained parameters in 1 blocks and the head" in told.stdout
    assert not (tmp_path / "out").exists()
    result = genser(*command(made, tmp_path / "out"))
    assert result.exit_code == 0, result.output
    assert "MACRO_F1" in result.stdout
    open_at(tmp_path / "out")


@pytest.mark.parametrize("words", [[], ["-S", "finetune.method=lora"]])
def test_a_dry_run_counts_what_is_trained(made, tmp_path, words):
    from pipeline.finetuning.network import TunedEncoder
    from pipeline.finetuning.tuning import open_tunable

    told = genser(*command(made, tmp_path / "out", *words), "--dry-run").stdout
    method = "lora" if words else "blocks"
    config = settings(made.encoder, method=method, hidden=256)
    head = TunedEncoder(open_tunable(str(made.encoder), device="cpu"), 2, config)
    assert f"{sum(t.numel() for t in head.kept().values()):,} trained parameters" in told


def test_messages_of_the_command_are_one_line(made, tmp_path):
    out = tmp_path / "out"
    for override, message in (
        ("encoder=no/such", "finetune.encoder: no/such: no such folder"),
        ("num_blocks=9", "finetune.num_blocks: 9, but the encoder"),
        ("method=prompt", "finetune.method: 'prompt' is not one of"),
        ("max_blocks=1", "unknown keys ['max_blocks']"),
    ):
        told = refused(*command(made, out, "-S", f"finetune.{override}"))
        assert message in told
        assert "Traceback" not in told
    told = refused(*command(made, out, "-S", "finetune.encoder=no/such"), "--dry-run")
    assert "finetune.encoder: no/such: no such folder" in told
