"""Hostile files, what reads them, and the line that is to be said of each."""

from dataclasses import dataclass

import numpy as np

from faults.hostile import (
    ALIASES,
    CLIP,
    SHARD,
    Make,
    deep_json,
    empty_folder,
    encoded,
    features,
    fifo,
    filter_bomb,
    forbidden,
    labelled,
    link,
    manifest,
    many_rows,
    sealed,
    sound,
    text,
    trials_of,
    zip_bomb,
)

EXTRACT = "-S extract.views={layers:{}} extract demo.csv --audio-root demo/audio --store fresh"
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


def nothing(_: object) -> None:
    """Leave the folder as it is: what is hostile is in the command's words."""


CASES = {
    # Pipes, devices, loops and folders where files belong.
    "audio is a pipe": Case(fifo(CLIP), EXTRACT, "1 decode_error, 29 ok"),
    "audio is a device": Case(link(CLIP, "/dev/zero"), EXTRACT, "1 decode_error, 29 ok"),
    "audio is a loop": Case(link(CLIP, CLIP.rpartition("/")[2]), EXTRACT, "1 missing, 29 ok"),
    "audio is a folder": Case(empty_folder(CLIP), EXTRACT, "1 missing, 29 ok"),
    "audio is forbidden": Case(forbidden(CLIP), EXTRACT, "1 decode_error, 29 ok"),
    "a pipe for predict": Case(fifo(CLIP), PREDICT, A_PIPE),
    "a loop for predict": Case(
        link(CLIP, CLIP.rpartition("/")[2]), PREDICT, "missing: no such file"
    ),
    "a folder for predict": Case(empty_folder(CLIP), PREDICT, "missing: no such file"),
    "a manifest that is a pipe": Case(fifo("m.csv"), "validate m.csv", A_PIPE),
    "a manifest that is a loop": Case(link("m.csv", "m.csv"), "validate m.csv", A_LOOP),
    "a manifest that is a folder": Case(empty_folder("m.csv"), "validate m.csv", IS_FOLDER),
    "a manifest that is forbidden": Case(forbidden("demo.csv"), "validate demo.csv", DENIED),
    "params that are a pipe": Case(fifo("p.yaml"), PARAMS, A_PIPE),
    "params that are a device": Case(link("p.yaml", "/dev/zero"), PARAMS, A_PIPE),
    "params that are a loop": Case(link("p.yaml", "p.yaml"), PARAMS, A_LOOP),
    "a label map that is a pipe": Case(fifo("map.yaml"), TRAIN + " --label-map map.yaml", A_PIPE),
    "features that are a device": Case(
        link("x.npz", "/dev/zero"), "ingest x.npz --store new", A_PIPE
    ),
    "features that are a loop": Case(link("x.npz", "x.npz"), "ingest x.npz --store new", A_LOOP),
    "a store that is a loop": Case(link("store", "store"), SCORE, A_LOOP),
    "a store that is a file": Case(text("store", "x"), SCORE, "Not a directory"),
    "a store with a loop": Case(link("store/views/loop", ".."), "verify store", "store: whole"),
    "a store's index is a pipe": Case(fifo("store/index.parquet"), SCORE, A_PIPE),
    "a store's shard is a device": Case(link(f"store/{SHARD}", "/dev/zero"), SCORE, A_PIPE),
    "a store's shard is a folder": Case(empty_folder(f"store/{SHARD}"), SCORE, "Is a directory"),
    "a store's contents are forbidden": Case(forbidden("store/store.json"), SCORE, DENIED),
    "a head that is a loop": Case(link("head", "head"), SCORE, A_LOOP),
    "a head that is a file": Case(text("head", "x"), SCORE, "'head' is a file"),
    "a head's description is a pipe": Case(fifo("head/head.json"), SCORE, A_PIPE),
    "a head's description is forbidden": Case(forbidden("head/head.json"), SCORE, DENIED),
    "an encoder's weights are a device": Case(
        link("demo/encoder/model.safetensors", "/dev/zero"),
        EXTRACT,
        "demo/encoder cannot be loaded",
    ),
    "an encoder's config is a pipe": Case(
        fifo("demo/encoder/config.json"), EXTRACT, "demo/encoder cannot be loaded"
    ),
    "predictions that are a pipe": Case(fifo("x.parquet"), "report x.parquet --out new", A_PIPE),
    "predictions that are a folder": Case(
        empty_folder("x.parquet"), "report x.parquet --out new", IS_FOLDER
    ),
    "trials that are a pipe": Case(fifo("t.yaml"), SWEEP, A_PIPE),
    "descriptions that are a device": Case(
        link("d.json", "/dev/zero"), "describe demo.csv --from d.json --out new.csv", A_PIPE
    ),
    "an output that is a folder": Case(empty_folder("q.parquet"), SCORE, IS_FOLDER),
    "an output that is a pipe": Case(fifo("q.parquet"), SCORE, "30 clips scored"),
    "an output that is a device": Case(link("q.parquet", "/dev/full"), SCORE, "30 clips scored"),
    "an output folder that is a file": Case(text("new", "x"), TRAIN, "'new' is a file"),
    "an output folder that is a loop": Case(link("new", "new"), TRAIN, "cannot be written"),
    # Names that would lead elsewhere.
    "audio above its root": Case(
        manifest(lambda t: t.assign(path="../../demo.csv")),
        "validate m.csv",
        "is not inside the audio root",
    ),
    "audio at an absolute path": Case(
        manifest(lambda t: t.assign(path="/etc/passwd")),
        EXTRACT.replace("demo.csv", "m.csv"),
        "is not inside the audio root",
    ),
    "a fold elsewhere": Case(
        manifest(lambda t: t.assign(**{"split.../../x": t["split"]})), CROSSVAL, NO_NAME
    ),
    "a fold at an absolute path": Case(
        manifest(lambda t: t.assign(**{"split./tmp/x": t["split"]})), CROSSVAL, NO_NAME
    ),
    "predictions by a name elsewhere": Case(
        nothing, "report p.parquet --with ../../x=p.parquet --out new", NO_NAME
    ),
    "codes by a name elsewhere": Case(
        nothing, "tokenise demo.csv --store store --out ../x", "is no name of a view"
    ),
    "a variant by a name elsewhere": Case(
        nothing,
        "crossval demo.csv --store store --heads linear --variant ../x=train.num_steps=2 --out new",
        NO_NAME,
    ),
    "trials by a name elsewhere": Case(
        trials_of({"../../x": {"train.num_steps": 2}}), SWEEP, NO_NAME
    ),
    "a task elsewhere": Case(nothing, TRAIN + " --task ../../etc/passwd", "has no label column"),
    "weights that are a device": Case(
        sealed("head/head.json", lambda v: v["weights"].update(file="/dev/zero")),
        SCORE,
        "no file of a head",
    ),
    "weights elsewhere": Case(
        sealed("head/head.json", lambda v: v["weights"].update(file="../../etc/passwd")),
        SCORE,
        "no file of a head",
    ),
    "a head's files elsewhere": Case(
        sealed("head/head.json", lambda v: v["files"].update({"../x": 64 * "0"})),
        "verify head",
        "no file of a head",
    ),
    "a store's files elsewhere": Case(
        sealed("store/store.json", lambda v: v["files"].update({"../x": 64 * "0"})),
        SCORE,
        "no file of a store",
    ),
    "a store's view elsewhere": Case(
        sealed("store/store.json", lambda v: v["views"].update({"../x": 64 * "0"})),
        SCORE,
        "no file of a store",
    ),
    "an encoder that is not there": Case(
        nothing, "-S extract.encoder=no/such " + EXTRACT, "no such folder"
    ),
    "an encoder of the hub without a commit": Case(
        nothing, "-S extract.encoder=owner/name " + EXTRACT, "no such folder"
    ),
    # Bombs.
    "aliases of aliases": Case(text("p.yaml", ALIASES), PARAMS, "its aliases make more than"),
    "aliases of aliases as trials": Case(
        text("t.yaml", ALIASES), SWEEP, "its aliases make more than"
    ),
    "an alias of itself": Case(
        text("p.yaml", "train: &a {b: *a}"), PARAMS, "its aliases make more than"
    ),
    "deep YAML": Case(text("p.yaml", "train: " + "[" * 50_000), PARAMS, "p.yaml: "),
    "long YAML": Case(
        text("p.yaml", "# " + "x" * 10_000_000), PARAMS, "is longer than 500000 characters"
    ),
    "deep JSON": Case(deep_json, "validate m.jsonl", "is no JSON"),
    "one long line": Case(
        text("m.csv", "utterance_id,path\n" + "x" * 50_000_000), "validate m.csv", "path is empty"
    ),
    "many columns": Case(
        text("m.csv", "utterance_id,path," + ",".join(f"c{i}" for i in range(200_000)) + "\n"),
        "validate m.csv",
        "columns or more, allowed are",
    ),
    "many rows": Case(many_rows(3_000_000), "validate m.parquet", "rows or more, allowed are"),
    "a zip bomb": Case(
        zip_bomb((1 << 28,), 1 << 30), "ingest bomb.npz --store new", "is not written out"
    ),
    "an array of a huge shape": Case(
        zip_bomb((10**6, 10**6), 1 << 24), "ingest bomb.npz --store new", "is not written out"
    ),
    "a filter bomb": Case(filter_bomb, SCORE, "is not written out"),
    "layers without end": Case(
        sealed("head/head.json", lambda v: v["shapes"]["layers"].update(num_layers=10**9)),
        SCORE,
        "tells of 1000000000 layers",
    ),
    "a width without end": Case(
        sealed("head/head.json", lambda v: v["config"]["trunk"].update(width=10**9)),
        SCORE,
        "more numbers than can be counted",
    ),
    "trials without end": Case(
        trials_of(
            {
                "{a}-{b}-{c}-{d}": {
                    "each": {k: list(range(100)) for k in "abcd"},
                    "train.num_steps": 2,
                }
            }
        ),
        SWEEP,
        "trials, allowed are",
    ),
    # Numbers that are none.
    "one hertz": Case(sound(CLIP, np.zeros(4000), says=1), PREDICT, "its header says 1 Hz"),
    "a rate of four billion": Case(
        sound(CLIP, np.zeros(4000), says=2**32 - 1), PREDICT, "not decodable"
    ),
    "sound of NaN": Case(sound(CLIP, np.full(8000, np.nan)), PREDICT, "nonfinite: "),
    "sound of infinity": Case(sound(CLIP, np.full(8000, np.inf)), PREDICT, "nonfinite: "),
    "sound of 1e38": Case(
        sound(CLIP, np.random.default_rng(0).normal(size=8000) * 1e37),
        PREDICT,
        "f01_angry_01.wav: ",
    ),
    "features of NaN": Case(
        features(np.array(np.nan)), "ingest features.npz --store new", "30 clips"
    ),
    "features of infinity": Case(
        features(np.array(np.inf)), "ingest features.npz --store new", "30 clips"
    ),
    "a learning rate of infinity": Case(
        nothing,
        "-S train.optimiser.learning_rate=.inf train demo.csv --store store --out new",
        "learning_rate: found inf",
    ),
    "a temperature of zero": Case(
        sealed("head/head.json", lambda v: v.update(temperature=0.0)),
        SCORE,
        "temperature: found 0.0",
    ),
    "a prior of zeros": Case(
        sealed("head/head.json", lambda v: v.update(prior=[0.0] * 5)), SCORE, "30 clips scored"
    ),
    "start after end": Case(
        manifest(lambda t: t.assign(start="2", end="1")), "validate m.csv", "is not after start 2 s"
    ),
    "start is NaN": Case(
        manifest(lambda t: t.assign(start="nan", end="inf")),
        "validate m.csv",
        "start 'nan' is not a number",
    ),
    # Texts.
    "labels that are mathematics": Case(
        labelled(r"$\frac{$", "$$", "_^{"), LABELLED, "newer/report.html"
    ),
    "labels that are markup": Case(
        labelled("<script>alert(1)</script>", "&amp;", "a|b"), LABELLED, "newer/report.html"
    ),
    "labels that are formulas": Case(
        labelled("=cmd|' /C calc'!A0", "@SUM(1)", "+1"), LABELLED, "newer/report.html"
    ),
    "labels with line ends": Case(
        labelled("a\nb", "c\rd", "e\u2028f"),
        "-S train.head=linear train m.csv --store store --out new",
        "m.csv",
    ),
    "labels that are long": Case(labelled("x" * 10_000), LABELLED, "newer/report.html"),
    "a manifest in UTF-16": Case(
        encoded("m.csv", "utf-16"), "validate m.csv", "cannot be read as .csv in UTF-8"
    ),
    "a manifest in Latin-1": Case(
        encoded("m.csv", "latin-1"), "validate m.csv", "cannot be read as .csv in UTF-8"
    ),
    "a manifest with a mark of its bytes' order": Case(
        encoded("m.csv", "utf-8-sig"), "validate m.csv", "30 rows are fine"
    ),
    "a NUL in a manifest": Case(
        manifest(lambda t: t.assign(emotion="a\0b")), "validate m.csv", "30 rows are fine"
    ),
    "an option that is no YAML": Case(
        nothing, "-S train.num_steps=[ validate demo.csv", "is not YAML"
    ),
    "an option that is deep": Case(
        nothing, f"-S train.num_steps={5000 * '['} validate demo.csv", "-S train.num_steps: "
    ),
    "an option without a section": Case(
        nothing, "-S num_steps=3 validate demo.csv", "wanted section.key=value"
    ),
}
