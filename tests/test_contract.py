"""All that the contract of heads promises, by a head of another package that uses all of it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers.training import train_into
from pipeline.errors import HeadError, ManifestError
from pipeline.files import sha256_file
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import head_needs
from pipeline.heads.phase import OptimiserConfig
from pipeline.heads.record import BaseRecord
from pipeline.heads.saved import load_head
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.sources.opening import bytes_in_memory
from pipeline.store.format import Shard
from pipeline.store.turns import enter_turn
from pipeline.store.views import CLIP_COLUMNS, FRAMES
from pipeline.store.writer import ViewWriter
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig
from pipeline.training.loop import Selection
from pipeline.training.train import features_for

NUM_CLIPS = 96
ROWS_PER_SHARD = 5


class Made(NamedTuple):
    """What the toy head is trained on."""

    manifest: Manifest
    store: Path
    base: Path


def frames_of(clip: int, *, is_high: bool) -> np.ndarray:
    generator = np.random.default_rng(clip)
    frames = generator.normal(size=(int(generator.integers(3, 12)), 2, 4)).astype(np.float32)
    frames[:, 1, 0] += 6.0 if is_high else -6.0
    return frames


def write_frames(root: Path, frames: dict[str, np.ndarray], fit_ids: list[str]) -> None:
    """Write a store with the view `frames`; clips lie in it in the order of their names."""
    recipe = {"view": FRAMES, "source": "audio", "layers": [1, 2], "stored_dtype": "float16"}
    kinds: dict[Any, Any] = dict(CLIP_COLUMNS)
    with enter_turn(root):
        writer = ViewWriter(root, FRAMES, recipe, {"fit_ids": fit_ids})
        names = sorted(frames)
        parts = [names[i : i + ROWS_PER_SHARD] for i in range(0, len(names), ROWS_PER_SHARD)]
        for number, part in enumerate(parts):
            clips = pd.DataFrame(
                {
                    "utterance_id": part,
                    **dict.fromkeys(("start", "end"), np.nan),
                    "channel": -1,
                    **dict.fromkeys(("file_digest", "audio_digest", "message"), ""),
                    **dict.fromkeys(("num_samples", "sample_rate", "duration"), 16000),
                    "outcome": "ok",
                    "row": np.arange(len(part)),
                }
            )
            shard = Shard(
                clips=clips.astype(kinds)[list(CLIP_COLUMNS)],
                features=np.concatenate([frames[name] for name in part]),
                recipe=recipe,
                provenance={},
                offsets=np.cumsum([0, *(len(frames[name]) for name in part)], dtype=np.int64),
            )
            writer.publish(number, shard)
        writer.commit(list(range(len(parts))), keep=None)


@pytest.fixture
def made(tmp_path: Path, install) -> Made:
    source = (Path(__file__).parent / "toy_head.py").read_text()
    install("toy_head", source, {"genser.heads": "toy = toy_head:KIND"})
    rows, frames = [], {}
    for clip in range(NUM_CLIPS):
        name, is_high, is_meant = f"c{clip:02d}", bool(clip % 2), bool(clip // 2 % 2)
        frames[name] = frames_of(clip, is_high=is_high)
        rows.append(
            {
                "utterance_id": name,
                "path": f"{name}.wav",
                "corpus": "toy",
                "speaker": f"s{clip * 6 // NUM_CLIPS}",
                "split": ("train", "train", "train", "train", "dev", "test")[clip * 6 // NUM_CLIPS],
                "emotion": "yes" if is_high == is_meant else "no",
                "text": "" if is_meant else "not",
            }
        )
    write_frames(tmp_path / "store", frames, fit_ids=["c00"])
    write_manifest(tmp_path / "m.csv", pd.DataFrame(rows))
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
    turn = turn.contiguous()
    save_file({"turn": turn}, tmp_path / "base.safetensors")
    return Made(
        read_manifest(tmp_path / "m.csv"), tmp_path / "store", tmp_path / "base.safetensors"
    )


def config_of(made: Made, *, toy: dict[str, Any] | None = None, **settings: Any) -> TrainConfig:
    section = TrainConfig.subsections()["toy"](base=str(made.base), **(toy or {}))
    base = {
        "head": "toy",
        "num_steps": 12,
        "batch_size": 8,
        "eval_every": 4,
        "pool_shards": 2,
        "optimiser": OptimiserConfig(learning_rate=0.2, ema_decay=0.5),
    }
    return TrainConfig(**{**base, "heads": {"toy": section}, **settings})


def train(made: Made, out: Path, config: TrainConfig) -> Selection:
    return train_into(out, made.manifest, made.store, config)


def score(made: Made, out: Path) -> pd.DataFrame:
    found = score_manifest(
        made.manifest, {"": made.store}, load_head(out), ScoreConfig(), device="cpu"
    )
    return found.table.to_pandas()


def test_it_learns_the_known_answer_and_says_what_it_heard(made: Made, tmp_path: Path) -> None:
    train(made, tmp_path / "head", config_of(made))
    found = score(made, tmp_path / "head")
    assert (found["predicted"] == found["label"]).all()
    clips = np.arange(NUM_CLIPS)
    assert found["heard"].tolist() == ["high" if clip % 2 else "low" for clip in clips]
    assert ((found["loudness"] > 0) == (clips % 2 == 1)).all()


def test_a_head_shows_nothing_of_what_is_within_unless_it_says_so(made, tmp_path: Path) -> None:
    head = train(made, tmp_path / "head", config_of(made)).head
    assert head.representations(Batch(views={})) == {}


def test_only_what_is_its_own_is_kept_and_the_base_is_named(made: Made, tmp_path: Path) -> None:
    before = sha256_file(made.base)
    train(made, tmp_path / "head", config_of(made))
    (weights,) = (tmp_path / "head").glob("weights-*.safetensors")
    names = {name for name in load_file(weights) if name.startswith("head.")}
    assert names == {f"head.{n}.{p}" for n in ("listen.1", "decide") for p in ("weight", "bias")}
    assert load_head(tmp_path / "head").record.bases == (
        BaseRecord(spelling=str(made.base), digest=before),
    )
    assert sha256_file(made.base) == before


def test_another_base_or_none_is_one_clear_line(made: Made, tmp_path: Path) -> None:
    train(made, tmp_path / "head", config_of(made))
    save_file({"turn": torch.eye(4)}, made.base)
    with pytest.raises(HeadError, match=r"the base model .* has digest \w{12}, wanted \w{12}"):
        load_head(tmp_path / "head")
    made.base.unlink()
    with pytest.raises(HeadError, match=r"base\.safetensors: no such base model"):
        load_head(tmp_path / "head")


def test_phases_have_their_own_curves_and_what_is_not_trained_stays(made, tmp_path: Path) -> None:
    fit = train(made, tmp_path / "head", config_of(made))
    curves = fit.curves
    assert curves["step"].tolist() == [4, 8, 12, 16, 20, 24]
    assert curves["phase"].tolist() == ["listen"] * 3 + ["decide"] * 3
    # Each phase has its own schedule: the cosine ends near 0 twice.
    assert curves["learning_rate"].iloc[2] < 0.1 * 0.3
    assert curves["learning_rate"].iloc[5] < 0.1 * 0.2
    assert curves["loss.gap"].notna().tolist() == [True] * 3 + [False] * 3
    assert curves["dev_ua"].isna().tolist() == [True] * 3 + [False] * 3
    listened = train(made, tmp_path / "other", config_of(made, num_steps=1))
    for name, tensor in fit.head.state_dict().items():
        same = torch.equal(tensor, listened.head.state_dict()[name])
        assert same == name.startswith("listen")


def test_gradients_reach_and_clipping_counts_what_the_phase_trains(
    made: Made, tmp_path: Path, monkeypatch
) -> None:
    clipped: list[set[int]] = []
    whole = torch.nn.utils.clip_grad_norm_

    def noted(parameters, limit):
        parameters = list(parameters)
        clipped.append({id(p) for p in parameters})
        assert all(p.grad is not None for p in parameters)
        return whole(parameters, limit)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", noted)
    head = train(made, tmp_path / "head", config_of(made)).head
    listen, decide = ({id(p) for p in m.parameters()} for m in (head.listen, head.decide))
    assert clipped == [listen] * 12 + [decide] * 12
    assert not any(p.requires_grad for p in head.listen.parameters())


def test_patience_of_a_phase_ends_that_phase_alone(made: Made, tmp_path: Path) -> None:
    """A phase whose weights do not move is over after its first look and its patience."""
    config = config_of(made, toy={"listen_steps": 40, "listen_patience": 2})
    toy = sys.modules["toy_head"].Toy
    phases = toy.phases

    def at_rest(self, default):
        listen, decide = phases(self, default)
        rest = listen.optimiser.__class__(learning_rate=0.0)
        return [listen.__class__(**{**vars(listen), "optimiser": rest}), decide]

    toy.phases = at_rest
    fit = train(made, tmp_path / "head", config)
    assert fit.curves["phase"].tolist() == ["listen"] * 3 + ["decide"] * 3
    assert fit.curves["step"].tolist() == [4, 8, 12, 16, 20, 24]


class KilledError(Exception):
    pass


@pytest.mark.parametrize("frames_in", ["store", "memory"])
@pytest.mark.parametrize("saves", range(1, 7))
def test_killed_in_either_phase_it_ends_with_the_same_bytes(
    made: Made, tmp_path: Path, monkeypatch, saves: int, frames_in: str
) -> None:
    config = config_of(made, frames_in=frames_in)
    train(made, tmp_path / "whole", config)
    save: Callable[..., None] = Checkpoints.save
    left = [saves]

    def dies(self, state):
        save(self, state)
        left[0] -= 1
        if not left[0]:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", dies)
        with pytest.raises(KilledError):
            train(made, tmp_path / "killed", config)
    torch.rand(3)
    train(made, tmp_path / "killed", config)
    for name in ("head.json", "curves.tsv"):
        assert (tmp_path / f"killed/{name}").read_bytes() == (
            tmp_path / f"whole/{name}"
        ).read_bytes()
    assert not list((tmp_path / "killed").glob("checkpoint*"))


def test_clips_that_a_view_was_fitted_on_are_not_judged(made: Made, tmp_path: Path) -> None:
    table = made.manifest.table.copy()
    table.loc[table["speaker"] == "s0", "split"] = "dev"
    table.loc[table["speaker"] == "s4", "split"] = "train"
    other = made._replace(manifest=Manifest(made.manifest.path, table, 2))
    message = r"1 clips of dev and test were among those that the views \['frames'\] were fitted"
    with pytest.raises(ManifestError, match=message):
        train(other, tmp_path / "head", config_of(made))


@pytest.mark.parametrize(("pool_shards", "frames_in"), [(2, "store"), (99, "store"), (2, "memory")])
def test_the_memory_that_is_told_is_what_the_largest_pools_take(
    made: Made, pool_shards: int, frames_in: str
) -> None:
    config = config_of(made)
    features = features_for(config, made.manifest, {"": made.store})
    rows = np.flatnonzero(made.manifest.table["split"] == "train")
    needs = head_needs("toy", config.head_config)
    told = bytes_in_memory(features, rows, needs, frames_in=frames_in, pool_shards=pool_shards)
    sizes: dict[int, int] = {}
    for row in rows:
        frames = frames_of(int(row), is_high=True)[:, 1]
        shard = int(row) // ROWS_PER_SHARD
        sizes[shard] = sizes.get(shard, 0) + frames.astype(np.float16).nbytes
    held = len(sizes) if frames_in == "memory" else 2 * pool_shards
    assert told == sum(sorted(sizes.values(), reverse=True)[:held])
