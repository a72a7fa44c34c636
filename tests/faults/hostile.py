"""What somebody who means harm, or a slip, may put where genser reads."""

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from pipeline.files import sealed_json, sha256_bytes, unseal_json

Make = Callable[[Path], object]

CLIP = "demo/audio/f01/f01_angry_01.wav"
SHARD = "views/layers/shards/000000.h5"

EXTRACT = "extract demo.csv --audio-root demo/audio --store fresh"
PREDICT = f"predict {CLIP} --head head"
SCORE = "score demo.csv --store store --head head --out q.parquet"
TRAIN = "-S train.head=linear train demo.csv --store store --out new"
CROSSVAL = "crossval m.csv --store store --heads linear --out new"
SWEEP = "sweep demo.csv t.yaml --store store --out new"
PARAMS = "--params p.yaml validate demo.csv"
LABELLED = (
    "-S train.head=linear train m.csv --store store --out new",
    "score m.csv --store store --head new --out q.parquet",
    "report q.parquet --manifest m.csv --head new --out newer",
)

A_PIPE = "a pipe or a device, wanted a regular file"
NO_NAME = "cannot name a file"
A_LOOP = "Too many levels of symbolic links"
IS_FOLDER = "directory"
DENIED = "Permission denied"
FINE = ""  # nothing is to be said


@dataclass(frozen=True)
class Case:
    """A hostile file.

    Attributes:
        make: Puts it into a folder in which every command has run.
        words: Of the command that reads it; of several, the last is told.
        line: What is to be said, in part.
    """

    make: Make
    words: str | tuple[str, ...]
    line: str


def clear(path: Path) -> Path:
    """Make room for something else at a path; other copies of what was there stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        path.rename(path.with_name(f"{path.name}-away"))
    path.unlink(missing_ok=True)
    return path


def fifo(name: str) -> Make:
    return lambda folder: os.mkfifo(clear(folder / name))


def link(name: str, target: str) -> Make:
    return lambda folder: clear(folder / name).symlink_to(target)


def empty_folder(name: str) -> Make:
    return lambda folder: clear(folder / name).mkdir()


def text(name: str, content: str | bytes) -> Make:
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder: clear(folder / name).write_bytes(data)


def forbidden(name: str) -> Make:
    def make(folder: Path) -> None:
        data = (folder / name).read_bytes()
        clear(folder / name).write_bytes(data)
        (folder / name).chmod(0)

    return make


def manifest(change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "m.csv") -> Make:
    def make(folder: Path) -> None:
        table = pd.read_csv(folder / "demo.csv", dtype=str, keep_default_na=False)
        change(table).to_csv(folder / name, index=False)

    return make


def labelled(*names: str) -> Make:
    """A manifest whose classes are called by these names."""

    def rename(table: pd.DataFrame) -> pd.DataFrame:
        found = sorted(set(table["emotion"]))
        told = dict(zip(found, names, strict=False))
        return table.assign(emotion=table["emotion"].map(lambda label: told.get(label, label)))

    return manifest(rename)


def encoded(name: str, encoding: str) -> Make:
    def make(folder: Path) -> None:
        content = (folder / "demo.csv").read_text().replace("f01_angry_01,", "é,")
        (folder / name).write_bytes(content.encode(encoding))

    return make


def sound(name: str, samples: np.ndarray, rate: int = 16000, says: int | None = None) -> Make:
    """A WAV of float samples; its header may say another rate."""

    def make(folder: Path) -> None:
        path = clear(folder / name)
        soundfile.write(path, samples, rate, subtype="FLOAT")
        if says is not None:
            data = bytearray(path.read_bytes())
            struct.pack_into("<I", data, 24, says)
            path.write_bytes(data)

    return make


def many_rows(num: int) -> Make:
    def make(folder: Path) -> None:
        column = pa.array(np.zeros(num, np.int8)).cast(pa.string())
        pq.write_table(pa.table({"utterance_id": column, "path": column}), folder / "m.parquet")

    return make


def zip_bomb(shape: tuple[int, ...], zeros: int) -> Make:
    """An npz whose array is of a shape, and has so many bytes of zeros when it is unpacked."""

    def make(folder: Path) -> None:
        header = io.BytesIO()
        path = folder / "bomb.npz"
        form = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, form)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            with file.open("features.npy", "w", force_zip64=True) as member:
                member.write(header.getvalue())
                for _ in range(zeros >> 24):
                    member.write(bytes(1 << 24))
            with file.open("utterance_id.npy", "w") as member:
                np.save(member, np.array(["a"]))

    return make


def features(values: np.ndarray) -> Make:
    def make(folder: Path) -> None:
        with np.load(folder / "features.npz") as told:
            ids = told["utterance_id"]
        array = np.broadcast_to(values, (len(ids), 2, 4)).astype(np.float32)
        np.savez(clear(folder / "features.npz"), utterance_id=ids, features=array)

    return make


def sealed(name: str, change: Callable[[dict[str, Any]], object]) -> Make:
    """Another text of a file under a seal that is right."""

    def make(folder: Path) -> None:
        value = unseal_json((folder / name).read_bytes())
        assert value is not None
        change(value)
        clear(folder / name).write_bytes(sealed_json(value))

    return make


def filter_bomb(folder: Path) -> None:
    """A shard of a few kilobytes that unpacks to gigabytes, with a digest that is right."""
    data = io.BytesIO((folder / "store" / SHARD).read_bytes())
    with h5py.File(data, "r+") as file:
        dtype = file["features"].dtype
        del file["features"]
        shape, chunk = (10**8, 5, 64), (10**4, 5, 64)
        file.create_dataset("features", shape, dtype, chunks=chunk, compression="gzip")
        file["features"][: 10**4] = 0
    clear(folder / "store" / SHARD).write_bytes(data.getvalue())
    digest = sha256_bytes(data.getvalue())
    sealed("store/store.json", lambda value: value["files"].update({f"{SHARD}": digest}))(folder)


def deep_json(folder: Path) -> None:
    text("m.jsonl", '{"utterance_id": ' + "[" * 100_000 + "\n")(folder)


def trials_of(value: object) -> Make:
    return text("t.yaml", json.dumps(value))


ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)


def nothing(_: object) -> None:
    """Leave the folder as it is: what is hostile is in the command's words."""
