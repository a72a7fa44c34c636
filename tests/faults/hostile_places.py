"""Pipes, devices, loops and folders where files belong, and names that would lead elsewhere."""

from faults.hostile import (
    A_LOOP,
    A_PIPE,
    CLIP,
    CROSSVAL,
    DENIED,
    EXTRACT,
    IS_FOLDER,
    NO_NAME,
    PARAMS,
    PREDICT,
    SCORE,
    SHARD,
    SWEEP,
    TRAIN,
    Case,
    empty_folder,
    fifo,
    forbidden,
    link,
    manifest,
    nothing,
    sealed,
    text,
    trials_of,
)

PLACES = {
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
    "a folder for predict": Case(empty_folder(CLIP), PREDICT, "holds no recordings"),
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
}
