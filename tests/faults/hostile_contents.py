"""Files that are small and endless, numbers that are none, texts that mean something to others."""

import numpy as np

from faults.hostile import (
    ALIASES,
    CLIP,
    LABELLED,
    PARAMS,
    PREDICT,
    SCORE,
    SWEEP,
    Case,
    deep_json,
    encoded,
    features,
    filter_bomb,
    labelled,
    manifest,
    many_rows,
    nothing,
    sealed,
    sound,
    text,
    trials_of,
    zip_bomb,
)

CONTENTS = {
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
        zip_bomb((10**6, 10**6), 1 << 24), "ingest bomb.npz --store new", "Unable to allocate"
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
