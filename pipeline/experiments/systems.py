"""What each system of a cross-validation reads, and what that takes: `systems.csv`.

Everything comes of what the head needs, of its configuration, of the store (recipes, lengths,
durations) and of its runs. Nothing is read from a system's name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.dataset import StoredFeatures
from pipeline.experiments.late_fusion import LATE_FUSION, Fusion
from pipeline.experiments.plan import Run, System
from pipeline.experiments.system_files import (
    ACOUSTICS,
    NEVER,
    NONE,
    RANDOM,
    TWO_STAGES,
)
from pipeline.heads.catalogue import head_needs
from pipeline.heads.needs import Need
from pipeline.manifests.descriptors import descriptor_sources
from pipeline.manifests.texts import TEXT
from pipeline.scoring.predictions import CONTAMINATED
from pipeline.store.recipe import Recipe
from pipeline.store.views import CODES, LAYERS

SUMMED = ("bits_per_s", "bytes_per_s", "num_parameters", "num_trained")  # of a late fusion


def systems_table(
    systems: Mapping[str, System],
    features: StoredFeatures,
    fold: str,
    runs: Sequence[Run] = (),
) -> pd.DataFrame:
    """Return one row for each system.

    Args:
        systems: By name.
        features: Of all views that they read.
        fold: One of the folds; where a view is of a fold, that one's is measured.
        runs: Of the systems, for what only a run knows.

    Returns:
        Texts: system, head, views (spaces between, `{fold}` as it is spelled), input (codes or
        frames; layers; histogram or means of codes; none for acoustics alone; of a head with a
        language model its own `input`), source (`audio`, `view` for k-means of frames, `table`,
        `text`), encoder, layers (the encoder's numbers, or the codec's books) and positions (in the
        view), embedding, fusion, fuse_at, beside; language, former (`random` without a checkpoint)
        and mal of a head with a language model; branches, bottleneck (yes or no), stages, condition
        and described_by (whose descriptions were learnt) of descriptors; text_sources (spaces
        between). Numbers, NaN where unknown:
        num_codes (K), codebooks (R, layers or books), frames_per_s (all frames over all seconds),
        bits_per_s (R log2 K a frame of codes, else 8 bits a byte) and bytes_per_s (as stored), both
        of all that is read; stage1_steps, beta_first and beta_last (of a bottleneck),
        num_parameters, num_trained. And acoustics, whether a need of that name is read.
    """
    rows = []
    for name, one in systems.items():
        mine = next((run for run in runs if run.system == name), None)
        told = {**_row(name, one, features, fold), **_of_run(mine)}
        rows.append(told | {"text_sources": _text_sources(one, features, fold, mine)})
    return pd.DataFrame(rows)


def fusions_table(fusions: Sequence[Fusion], systems: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each late fusion: what its parts say, side by side.

    Args:
        fusions: In order; one may be a part of a later one.
        systems: Of the parts, as `systems_table` returns it.

    Returns:
        As `systems`: different texts with ` + ` between; bits, bytes and parameters summed, other
        numbers only where all parts have the same.
    """
    known = systems
    for fusion in fusions:
        parts = known[known["system"].isin(fusion.parts)]
        row = {name: _of_parts(parts[name]) for name in systems}
        row |= {"system": fusion.name, "head": LATE_FUSION}
        row |= {name: parts[name].sum(skipna=False) for name in SUMMED}
        known = pd.concat([known, pd.DataFrame([row])], ignore_index=True)
    return known.iloc[len(systems) :].reset_index(drop=True)


def _of_parts(column: pd.Series) -> object:
    """Return what is said of the parts of a fusion together."""
    if column.dtype == bool:
        return bool(column.any())
    if pd.api.types.is_numeric_dtype(column):
        return column.iloc[0] if column.nunique(dropna=False) == 1 else math.nan
    return " + ".join(dict.fromkeys(text for text in column if text))


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """What one need takes of the store."""

    positions: tuple[int, ...]
    frames_per_s: float
    bits_per_s: float
    bytes_per_s: float


def _row(name: str, system: System, features: StoredFeatures, fold: str) -> dict[str, object]:
    train = system.train
    config: Any = train.of_fold(fold).head_config
    needs = head_needs(train.head, config)
    spelled = head_needs(train.head, train.head_config)
    main = next((need for need in needs if need.name != ACOUSTICS), None)
    readings = {need.name: _reading(need, features) for need in needs}
    told: dict[str, object] = {"num_codes": math.nan, "codebooks": math.nan}
    shown = main or next(iter(needs), None)  # a head that reads texts alone has none
    recipe = {} if shown is None else features.recipes[shown.view]
    provenance = {} if shown is None else features.provenances[shown.view]
    if main is not None:
        positions = readings[main.name].positions
        numbers = _layer_numbers(recipe)
        told["codebooks"] = len(positions)
        told["layers"] = " ".join(str(numbers[i] if numbers else i) for i in positions)
        told["positions"] = " ".join(map(str, positions))
        told["num_codes"] = recipe.get("num_codes", math.nan)
    return {
        "system": name,
        "head": train.head,
        "views": " ".join(dict.fromkeys(need.view for need in spelled)),
        "input": NONE if main is None else _input(main, features),
        "source": str(recipe.get("source", "")),
        "encoder": str(provenance.get("encoder") or ""),
        "layers": "",
        "positions": "",
        **told,
        "acoustics": any(need.name == ACOUSTICS for need in needs),
        **{key: str(getattr(config, key, "")) for key in ("embedding", "fusion", "fuse_at")},
        "beside": str(getattr(config, "beside", "")),
        "frames_per_s": math.nan if main is None else readings[main.name].frames_per_s,
        "bits_per_s": sum(one.bits_per_s for one in readings.values()),
        "bytes_per_s": sum(one.bytes_per_s for one in readings.values()),
        **_of_language(config),
        **_of_descriptors(config, system.score.options(train.head), features),
    }


def _of_language(config: Any) -> dict[str, object]:
    """Return what is said of a head with a language model, as far as its input has a use for it."""
    language = str(getattr(config, "language", ""))
    told = {"language": language, "former": "", "mal": "", "stage1_steps": math.nan}
    if not language:
        return told
    if not hasattr(config, "has_former"):
        return {**told, "stage1_steps": config.stage1_steps if config.has_stage1 else 0}
    return {
        **told,
        "input": config.input,
        "former": (config.former or RANDOM) if config.has_former else "",
        "mal": config.mal if config.has_stage1 else "",
        "stage1_steps": config.stage1_steps if config.has_stage1 else 0,
    }


def _of_descriptors(config: Any, scoring: Any, features: StoredFeatures) -> dict[str, object]:
    """Return what is said of a head of emotion descriptors."""
    if not hasattr(config, "bottleneck"):
        names = ("branches", "bottleneck", "stages", "condition", "described_by")
        return {**dict.fromkeys(names, ""), "beta_first": math.nan, "beta_last": math.nan}
    in_turn = f" in {config.alternate}" if config.stages == TWO_STAGES else ""
    return {
        "branches": config.branches,
        "bottleneck": "yes" if config.bottleneck else "no",
        "stages": f"{config.stages}{in_turn}",
        "condition": scoring.condition if config.describe else NEVER,
        "described_by": _spaced(
            descriptor_sources(features.manifest.table) if config.describe else ()
        ),
        "beta_first": config.beta_first if config.bottleneck else math.nan,
        "beta_last": config.beta_last if config.bottleneck else math.nan,
    }


def _text_sources(system: System, features: StoredFeatures, fold: str, run: Run | None) -> str:
    """Return who wrote the texts that a system reads, itself or in a view; "" where it reads none.

    Spaces between; what names a recogniser has none.
    """
    found: Any = () if run is None else run.predictions.metadata.get("text_sources")
    needs = head_needs(system.train.head, system.train.of_fold(fold).head_config)
    if not found and any(features.recipes[n.view].get("source") == TEXT for n in needs):
        found = features.text_sources([TEXT], np.flatnonzero(features.has_features))
    return _spaced(found or ())


def _spaced(sources: Sequence[str]) -> str:
    return " ".join(one.replace(" ", "-") for one in sources)


def _of_run(run: Run | None) -> dict[str, object]:
    """Return what is known once a system has run."""
    cost = None if run is None else run.cost
    known: Any = None if run is None else run.predictions.metadata.get(CONTAMINATED)
    return {
        CONTAMINATED: " ".join(known or ()),
        "num_parameters": math.nan if cost is None else cost.num_parameters,
        "num_trained": math.nan if cost is None else cost.num_trained,
    }


def _input(need: Need, features: StoredFeatures) -> str:
    is_pooled = need.kind == LAYERS and features.kind(need.view) == CODES
    return need.codes_as if is_pooled else need.kind


def _layer_numbers(recipe: Recipe) -> Sequence[int] | None:
    """Return the encoder's number of each layer of a view; None where it keeps all in order."""
    found: Sequence[int] | None = recipe.get("layers")
    return found


def _reading(need: Need, features: StoredFeatures) -> _Reading:
    recipe, kind = features.recipes[need.view], features.kind(need.view)
    shape = features.shape(need.view)
    positions = tuple(range(shape[0])) if need.layers is None else need.layers
    rows = np.flatnonzero(features.has_features & (features.durations > 0).to_numpy())
    seconds = float(features.durations.iloc[rows].sum())
    if kind == LAYERS:
        frames_per_s, vectors = math.nan, len(rows)
    else:
        vectors = int(features.num_frames(rows, need.view).sum())
        frames_per_s = vectors / seconds if seconds else math.nan
    each = len(positions) * np.dtype(recipe["stored_dtype"]).itemsize * math.prod(shape[1:])
    bytes_per_s = vectors * each / seconds if seconds else math.nan
    bits_per_s = 8 * bytes_per_s
    if kind == CODES:
        bits_per_s = frames_per_s * len(positions) * math.log2(recipe["num_codes"])
    return _Reading(
        positions=positions,
        frames_per_s=frames_per_s,
        bits_per_s=bits_per_s,
        bytes_per_s=bytes_per_s,
    )
