"""Files whose seal is right and whose form is not: one line each, never a traceback."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load, save

from helpers.faults import fill, read_everything
from pipeline.errors import FeatureStoreError, HeadError, PredictionsError
from pipeline.files import sealed_json, sha256_bytes, unseal_json
from pipeline.heads.folder import verify_head
from pipeline.heads.saved import load_head
from pipeline.parquet import sealed_table_bytes, table_bytes
from pipeline.scoring.predictions import read_predictions
from pipeline.scoring.stamps import task_of
from pipeline.store.verification import verify_store

HEAD = Path(__file__).parent / "golden" / "head_v1"
Change = Callable[[Any], Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path / "store")
    return tmp_path / "store"


def reseal(path: Path, change: Change) -> None:
    value = unseal_json(path.read_bytes())
    assert value is not None
    change(value)
    path.write_bytes(sealed_json(value))


def replace_file(root: Path, name: str, data: bytes) -> None:
    """Put another file into a store, with the digest that makes it part of it."""
    (root / name).write_bytes(data)
    reseal(root / "store.json", lambda value: value["files"].update({name: sha256_bytes(data)}))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda v: v.update(files=[]), "files: found [], wanted names and what each is"),
        (lambda v: v["files"].update({"index.parquet": 3}), "files.index.parquet: found 3, wanted"),
        (lambda v: v.pop("views"), "found no 'views', wanted one"),
        (lambda v: v.update(views={"layers": None}), "views.layers: found None, wanted text"),
        (lambda v: v.update(refill={"views/layers/shards/000000.h5": "ab"}), "found 'ab', wanted"),
        (lambda v: v.update(kept=[{"folder": "layers"}]), "kept[0]: found no 'fingerprint'"),
        (lambda v: v.update(kept=[{"folder": "../x", "fingerprint": ""}]), "no file of a store"),
        (lambda v: v.update(views={"../x": ""}), "no file of a store"),
        (lambda v: v.update(more=1), "has unknown keys ['more']"),
    ],
)
def test_a_store_s_contents_of_another_form_are_refused(root: Path, change, line: str) -> None:
    reseal(root / "store.json", change)
    with pytest.raises(FeatureStoreError) as refusal:
        read_everything(root)
    assert str(refusal.value).startswith(f"{root / 'store.json'}: ")
    assert line in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"fingerprint": "", "recipe": {}}', "found no 'provenance'"),
        (b'{"fingerprint": "", "recipe": {"layers": "x"}, "provenance": {}}', "recipe.layers"),
        (b'{"fingerprint": "", "recipe": {"view": "codes"}, "provenance": {}}', "num_codes"),
        (b'{"fingerprint": "", "recipe": {"parent": {}}, "provenance": {}}', "recipe.parent"),
    ],
)
def test_a_recipe_of_another_form_is_refused(root: Path, data: bytes, line: str) -> None:
    replace_file(root, "views/layers/recipe.json", data)
    with pytest.raises(FeatureStoreError, match=r"recipe\.json: |^recipe: of codes") as refusal:
        read_everything(root)
    assert line in str(refusal.value)


@pytest.mark.parametrize("name", ["index.parquet", "views/layers/outcomes.parquet"])
@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.drop(columns="utterance_id"),
        lambda frame: frame.assign(utterance_id=range(len(frame))),
        lambda frame: frame.assign(utterance_id="a"),
        lambda frame: frame.rename(columns={"layers.shard": "shards", "shard": "shards"}),
        lambda frame: frame.assign(**{"layers.shard": "x", "shard": "x"}),
    ],
)
def test_a_table_of_other_columns_is_refused(root: Path, name: str, change: Change) -> None:
    frame = pq.read_table(root / name).to_pandas()
    replace_file(root, name, table_bytes(change(frame)))
    with pytest.raises(FeatureStoreError):
        read_everything(root)


def test_a_table_that_is_none_is_refused(root: Path) -> None:
    replace_file(root, "index.parquet", b"PAR1 nothing PAR1")
    with pytest.raises(FeatureStoreError, match="is no table of a store"):
        read_everything(root)
    (root / "store.json").write_bytes(b"")
    assert any(
        fault.startswith(f"{root / 'index.parquet'}: damaged") for fault in verify_store(root)
    )


@pytest.fixture
def head(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HEAD, tmp_path / "head"))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda v: v.pop("classes"), "found no 'classes'"),
        (lambda v: v.update(temperature="hot"), "temperature: found 'hot', wanted a number"),
        (lambda v: v.update(shape={"dim": 8}), "shape: found no 'num_layers'"),
        (lambda v: v["shape"].update(dim="8"), "shape.dim: found '8', wanted a whole number"),
        (lambda v: v["config"].update(k="x"), "config.k: found 'x', wanted a number"),
        (lambda v: v["standardiser"].update(kind="odd"), "train.standardise: 'odd' is not one"),
        (lambda v: v.update(weights="w"), "weights: found 'w', wanted keys and values"),
        (lambda v: v.update(label_map={"classes": 3}), "label_map.classes: found 3, wanted a list"),
        (lambda v: v.update(recipes={}), "says nothing of 'layers', which it reads"),
    ],
)
def test_a_head_of_another_form_is_refused(head: Path, change, line: str) -> None:
    reseal(head / "head.json", change)
    with pytest.raises((HeadError, ValueError)) as refusal:
        load_head(head)
    assert line in str(refusal.value)


def swap_tensors(head: Path, data: bytes) -> None:
    (old,) = head.glob("weights-*")
    old.write_bytes(data)
    told = {"file": old.name, "sha256": sha256_bytes(data)}
    reseal(head / "head.json", lambda value: value.update(weights=told))


@pytest.mark.parametrize("name", ["standardiser.mean", "standardiser.group_mean", "head"])
@pytest.mark.parametrize("what", ["missing", "misshapen", "more"])
def test_tensors_that_are_not_the_head_s_are_refused(head: Path, name: str, what: str) -> None:
    (path,) = head.glob("weights-*")
    tensors = load(path.read_bytes())
    first = next(key for key in tensors if key.startswith(name))
    if what == "missing":
        del tensors[first]
    elif what == "misshapen":
        tensors[first] = torch.zeros(3, 3, 3)
    else:
        tensors[f"{name.partition('.')[0]}.more"] = torch.zeros(1)
    swap_tensors(head, save(tensors))
    with pytest.raises(HeadError, match=r"its tensors are not those of the head .*train the head"):
        load_head(head)


def test_a_file_that_holds_no_tensors_is_refused(head: Path) -> None:
    swap_tensors(head, b"nothing")
    with pytest.raises(HeadError, match="holds no tensors"):
        load_head(head)
    with pytest.raises(HeadError, match="holds no tensors"):
        verify_head(head)


def predictions_saying(path: Path, **entries: str) -> Path:
    table = pd.DataFrame({"utterance_id": ["a"], "split": ["test"]})
    import pyarrow as pa

    metadata = {"genser.format": "genser-predictions", "genser.format_version": "1", **entries}
    data = sealed_table_bytes(pa.Table.from_pandas(table), metadata, repeating=[])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({"genser.classes": "{"}, "classes: is no JSON"),
        ({"genser.classes": "[1]"}, "[0]: found 1, wanted text"),
        ({}, "found None, wanted a list"),
        ({"genser.classes": '["a"]', "genser.task": "3"}, "task: found 3, wanted text"),
        ({"genser.classes": '["a"]', "genser.seed": "[" * 9000}, "seed: is no JSON"),
        ({"genser.classes": '["a"]', "genser.leaks": '{"a": "x"}'}, "leaks.a: found 'x', wanted a"),
        ({"genser.classes": '["a"]'}, "found columns"),
    ],
)
def test_predictions_of_another_form_are_refused(tmp_path: Path, entries, line: str) -> None:
    path = predictions_saying(tmp_path / "p.parquet", **entries)
    with pytest.raises(PredictionsError) as refusal:
        read_predictions(path)
    assert line in str(refusal.value)


def test_predictions_without_a_task_have_no_report() -> None:
    with pytest.raises(PredictionsError, match=r"^p: found no task, wanted its label column"):
        task_of(Path("p"), {})
