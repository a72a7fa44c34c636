"""A training goes on from its own whole checkpoint, and from nothing else."""

import dataclasses
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from helpers.commands import genser, refused, write_manifest
from pipeline.files import sealed_json, sha256_bytes, unseal_json
from pipeline.training import checkpoints
from pipeline.training.checkpoints import POINTER, Checkpoints
from pipeline.training.config import TrainConfig
from stages.params import Params

WORDS = ("-S", "train.num_steps=6", "-S", "train.eval_every=2", "-S", "train.head=linear")
ON = ("--store", "store", "--task", "emotion")
STATE = {"step": 5, "steps_before": 0, "head": {"w": torch.arange(8.0)}}


class StoppedError(Exception):
    pass


def train(out: Path, *more: object, manifest: object = "demo.csv") -> Any:
    return genser(*WORDS, *more, "train", manifest, *ON, "--out", out)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def stop_at(step: int, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the checkpoint of a step, its run killed."""
    save = Checkpoints.save

    def stop(self: Checkpoints, state: dict[str, Any]) -> None:
        save(self, state)
        if state["step"] == step:
            raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "SPARED", 0.0)
        patch.setattr(checkpoints, "LOST_S", 0.0 if step % 2 else 1000.0)
        patch.setattr(Checkpoints, "save", stop)
        with pytest.raises(StoppedError):
            train(out)
    return out


@pytest.fixture
def stopped(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the checkpoint of step 2, its run killed."""
    return stop_at(2, tmp_path / "stopped", monkeypatch)


def test_keeping_states_takes_a_tenth_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, publish = [100.0], checkpoints.publish_bytes

    def slow(path: Path, data: bytes) -> None:
        now[0] += 1.0
        publish(path, data)

    monkeypatch.setattr(checkpoints, "SPARED", 9.0)
    monkeypatch.setattr(checkpoints, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoints, "publish_bytes", slow)
    mine = Checkpoints(tmp_path / "head", {})
    assert mine.is_due(has_looked=True)
    mine.save(STATE)  # two files, until second 102
    now[0] = 119.5
    assert not mine.is_due(has_looked=True)
    now[0] = 120.0
    assert mine.is_due(has_looked=True)


def test_between_looks_a_state_is_kept_where_half_a_minute_would_be_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(checkpoints, "monotonic", lambda: now[0])
    mine = Checkpoints(tmp_path / "head", {})
    for second, is_due in ((129.0, False), (130.0, True)):
        now[0] = second
        assert mine.is_due(has_looked=False) == is_due
        assert mine.is_due(has_looked=True)
    mine.save(STATE)
    for second, is_due in ((159.0, False), (160.0, True)):
        now[0] = second
        assert mine.is_due(has_looked=False) == is_due


def test_a_training_keeps_no_state_that_is_not_due(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, state: kept.append(state["step"]))
    monkeypatch.setattr(
        Checkpoints, "is_due", lambda self, *, has_looked: has_looked and kept != [2]
    )
    train(tmp_path / "head")
    assert kept == [2]


def test_any_damage_of_a_checkpoint_is_none(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path / "head", {"a": 1})
    mine.save(STATE)
    files = tree(tmp_path / "head")
    assert len(files) == 2
    rng = random.Random(0)
    for name, whole in files.items():
        for i in range(150):
            data = bytearray(whole)
            if i % 3 == 0:
                del data[rng.randrange(len(data)) :]
            elif i % 3 == 1:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            else:
                data += rng.randbytes(rng.randrange(1, 9))
            (tmp_path / "head" / name).write_bytes(data)
            assert mine.load("cpu") is None
        (tmp_path / "head" / name).unlink()
        assert mine.load("cpu") is None
        (tmp_path / "head" / name).write_bytes(whole)
    found = mine.load("cpu")
    assert found is not None
    assert torch.equal(found["head"]["w"], STATE["head"]["w"])


def put(folder: Path, data: bytes) -> None:
    """Put other tensors into a checkpoint, with the digest that makes them its own."""
    pointer = unseal_json((folder / POINTER).read_bytes())
    assert pointer is not None
    (folder / pointer["file"]).write_bytes(data)
    (folder / POINTER).write_bytes(sealed_json({**pointer, "digest": sha256_bytes(data)}))


class Harm:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.mkdir, (self.path,)


def test_a_sealed_file_that_is_no_state_is_none_and_runs_nothing(tmp_path: Path) -> None:
    mine = Checkpoints(tmp_path / "head", {"a": 1})
    mine.save(STATE)
    torch.save({**STATE, "x": Harm(tmp_path / "harm")}, tmp_path / "harmful.pt")
    torch.save([1], tmp_path / "list.pt")
    whole = tree(tmp_path / "head")["checkpoint-000000005.pt"]
    harmful = (tmp_path / "harmful.pt").read_bytes()
    for data in (b"", b"nothing", whole[:400], harmful, pickle.dumps(STATE["step"]), b"PK\x03\x04"):
        put(tmp_path / "head", data)
        assert mine.load("cpu") is None
    put(tmp_path / "head", (tmp_path / "list.pt").read_bytes())
    assert mine.load("cpu") is None
    assert not (tmp_path / "harm").exists()
    put(tmp_path / "head", whole)
    assert mine.load("cpu") is not None


def test_a_whole_checkpoint_is_gone_on_from_and_said(stopped: Path, tmp_path: Path) -> None:
    assert "going on from the checkpoint at step 2" in train(stopped).stderr
    train(tmp_path / "whole")
    assert tree(stopped) == tree(tmp_path / "whole")


@pytest.mark.parametrize("step", [1, 3, 5, 6])
def test_steps_between_looks_are_not_taken_again(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Looks are at 2, 4 and 6: the losses since the last one are kept with the state."""
    stop_at(step, tmp_path / "stopped", monkeypatch)
    told = train(tmp_path / "stopped").stderr
    assert f"going on from the checkpoint at step {step}\n" in told
    train(tmp_path / "whole")
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def relabelled(table: Any) -> Any:
    rows = np.flatnonzero(table["split"] == "train")[:2]
    table.loc[rows, "emotion"] = table["emotion"].iloc[rows[::-1]].to_numpy()
    return table


def fewer(table: Any) -> Any:
    return table[table["utterance_id"] != table["utterance_id"][table["split"] == "dev"].iloc[0]]


OTHERS: dict[str, tuple[tuple[str, ...], Callable[[Any], Any] | None]] = {
    "seed": (("-S", "train.seed=1"), None),
    "rate": (("-S", "train.optimiser.learning_rate=0.003"), None),
    "head": (("-S", "train.head=mlp"), None),
    "labels": ((), relabelled),
    "dev": ((), fewer),
    "damaged": ((), None),
}


@pytest.mark.parametrize("other", OTHERS)
def test_another_training_starts_from_nothing_and_says_so(
    stopped: Path, tmp_path: Path, other: str
) -> None:
    more, change = OTHERS[other]
    manifest: object = "demo.csv" if change is None else write_manifest(tmp_path / "m.csv", change)
    if other == "damaged":
        (state,) = stopped.glob("checkpoint-*.pt")
        state.write_bytes(state.read_bytes()[:-1] + b"\x00\x01")
    told = train(stopped, *more, manifest=manifest)
    assert told.exit_code == 0
    assert "going on from" not in told.stderr
    assert "the checkpoint is of other parameters, features or rows, or damaged" in told.stderr
    train(tmp_path / "fresh", *more, manifest=manifest)
    assert tree(stopped) == tree(tmp_path / "fresh")


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no phase": lambda s: s.pop("phase"),
    "a phase that is none": lambda s: s.update(phase=9),
    "before the first": lambda s: s.update(phase=-1),
    "beyond the last step": lambda s: s.update(step=10**6),
    "no step": lambda s: s.update(step=0),
    "a number as text": lambda s: s.update(step="2"),
    "no curves": lambda s: s.update(curves=[]),
    "other curves": lambda s: s.update(curves=[{"x": 1}]),
    "no loss": lambda s: s.update(first_loss=None),
    "losses of a step before its look": lambda s: s.update(taken=[{"loss": torch.tensor(1.0)}]),
    "no losses": lambda s: s.pop("taken"),
    "losses that are none": lambda s: s.update(step=3, taken=[{"loss": 1.0}]),
    "losses of several numbers": lambda s: s.update(step=3, taken=[{"loss": torch.ones(2)}]),
    "a step without losses": lambda s: s.update(step=3, taken=[{}]),
    "no tensors": lambda s: s.update(head={}),
    "other shapes": lambda s: s["average"].update({name: torch.zeros(3) for name in s["average"]}),
    "other names": lambda s: s.update(best={"x": torch.zeros(1)}),
    "no tensor": lambda s: s.update(best=dict.fromkeys(s["best"], 1)),
    "another optimiser": lambda s: s.update(optimiser={"state": {}, "param_groups": []}),
    "no optimiser": lambda s: s.update(optimiser={}),
}


def test_a_sealed_state_of_another_form_is_one_line(stopped: Path, tmp_path: Path) -> None:
    (path,) = stopped.glob("checkpoint-*.pt")
    whole = path.read_bytes()
    for change in CHANGES.values():
        path.write_bytes(whole)
        state = torch.load(path, weights_only=True)
        change(state)
        torch.save(state, path)
        put(stopped, path.read_bytes())
        told = refused(*WORDS, "train", "demo.csv", *ON, "--out", stopped)
        assert told.splitlines()[-1].startswith("Error: ")
        assert "the checkpoint there is none of this training" in told
        assert not (stopped / "head.json").exists()
    put(stopped, whole)
    train(stopped)
    train(tmp_path / "fresh")
    assert tree(stopped) == tree(tmp_path / "fresh")


def test_every_parameter_is_part_of_what_a_checkpoint_is_bound_to() -> None:
    """Each key of train with another value, wherever it may stand, tells two trainings apart."""

    def told(*overrides: str) -> Any:
        return Params(None, overrides).section("train", TrainConfig).as_json()

    others = {
        "head": "mlp",
        "precision": "bfloat16",
        "standardise": "none",
        "standardise_over": "speaker",
        "targets": "votes",
        "balance": "loss",
        "corpus_temperature": "0.5",
        "mixup": "0.1",
        "noise": "0.1",
        "select_by": "ua",
        "stretch": "false",
        "frames_in": "memory",
        "copies": "1",
        "optimiser": "{schedule: constant}",
    }
    seen = [told()]
    for field in dataclasses.fields(TrainConfig):
        if field.name == "heads":
            continue
        default = field.default
        value = others.get(field.name, str(default + 1) if isinstance(default, int) else None)
        assert value is not None, field.name
        found = told(f"train.{field.name}={value}")
        assert found not in seen, field.name
        seen.append(found)
