"""Holding every file of a store to its digest, and dropping what is damaged."""

import json
from pathlib import Path

import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import sha256_bytes, writing
from pipeline.parquet import table_bytes
from pipeline.store.commit import (
    CATALOGUE,
    INDEX,
    NEXT,
    Catalogue,
    commit,
    finish_commit,
    index_bytes,
    outcomes_name,
    outcomes_of,
    recipe_name,
    shard_name,
    shards_in,
    split_index,
)
from pipeline.store.format import read_shard_bytes
from pipeline.store.locks import FileLock, hold, is_held
from pipeline.store.survey import Survey, survey_store
from pipeline.store.turns import RUN_LOCK
from pipeline.store.writer import merged, recipe_bytes


def verify_store(root: Path) -> list[str]:
    """Hold every file of a store to its digest; return one message per fault, none if whole.

    Raises:
        FeatureStoreError: If there is no store, or a run is writing it now.
    """
    _require_store(root)
    if is_held(root / RUN_LOCK):
        raise FeatureStoreError(
            f"{root}: a run is writing this store; wait until it has ended, then verify again."
        )
    survey = survey_store(root)
    again = "run the same extract again"
    messages = [f"{root / name}: {fault}." for name, fault in survey.faults.items()]
    if survey.is_committing:
        messages.append(f"{root / NEXT}: a run was stopped while it was committing; {again}.")
    for name in survey.waiting:
        num_clips = len(read_shard_bytes((root / name).read_bytes(), root / name).clips)
        messages.append(
            f"{root / name}: a finished shard, its {num_clips} clips wait for a commit; {again}."
        )
    messages += [f"{path}: left by a run that was stopped; {again}." for path in survey.left_over]
    messages += [f"{path}: no part of this store; remove it." for path in survey.foreign]
    return [*messages, _affected(survey)] if survey.faults else messages


def repair_store(root: Path) -> list[str]:
    """Drop damaged shards, mend the tables from the others, and return what was done.

    The next extract makes dropped shards anew under their old numbers. Finished shards that wait
    for a commit are taken in; files that no genser writes stay where they are.

    Raises:
        FeatureStoreError: If there is no store, or a run is writing it now.
        OutputError: If the folder cannot be written.
    """
    _require_store(root)
    with hold(FileLock(root / RUN_LOCK)):
        done = _settle(root)
        survey = survey_store(root)
        catalogue, tables = _recovered(survey)
        if survey.faults or catalogue != survey.catalogue:
            commit(root, catalogue, tables)
        done += [f"{root / name}: taken into the store" for name in survey.waiting]
        for name in survey.faults:
            is_mended = name == CATALOGUE or name in catalogue.digests
            done.append(f"{root / name}: " + ("written anew" if is_mended else "dropped"))
        waiting = {(root / name).with_suffix(".sha256") for name in survey.waiting}
        with writing(root):
            for path in sorted({*survey.left_over, *waiting}):
                path.unlink(missing_ok=True)
            for name in survey.faults.keys() - catalogue.digests.keys() - {CATALOGUE}:
                (root / name).unlink(missing_ok=True)
        done += [f"{path}: removed" for path in survey.left_over]
    return done


def _require_store(root: Path) -> None:
    if not any((root / name).exists() for name in (CATALOGUE, NEXT, INDEX, "views")):
        raise FeatureStoreError(f"{root}: no feature store there; make one with 'genser extract'.")


def _affected(survey: Survey) -> str:
    hit: set[str] = set()
    every: set[str] = set()
    for view in survey.views:
        places = survey.places(view)
        if places is None:
            return f"{survey.root}: how many clips are affected cannot be told before a repair."
        lost = shards_in(survey.faults, view)
        needed = {CATALOGUE, INDEX, recipe_name(view), outcomes_name(view)}
        # Without one of its tables nothing of a view can be read.
        is_hit = places["shard"].isin(lost) | (not needed.isdisjoint(survey.faults))
        hit |= set(places["utterance_id"][is_hit])
        every |= set(places["utterance_id"])
    return f"{survey.root}: {len(hit)} of {len(every)} clips are affected."


def _settle(root: Path) -> list[str]:
    """Finish the commit of a killed run, or forget it if its list of files is damaged."""
    path = root / NEXT
    try:
        return [f"{path}: its commit is finished"] if finish_commit(root) else []
    except FeatureStoreError:
        with writing(path):
            path.unlink()
        return [f"{path}: damaged, removed"]


def _recovered(survey: Survey) -> tuple[Catalogue, dict[str, bytes]]:
    """Return the catalogue and the tables that what is whole of a store can have."""
    old = survey.catalogue or Catalogue()
    shards = {n: d for n, d in {**survey.intact, **survey.waiting}.items() if n.endswith(".h5")}
    records: dict[str, pd.DataFrame] = {}
    tables: dict[str, bytes] = {}
    fingerprints: dict[str, str] = {}
    refill = dict(old.refill)
    for view in survey.views:
        refill |= _lost(survey, view)
        recipe = _recipe(survey, view)
        if recipe is None:
            continue  # nothing of the view is whole
        fingerprints[view] = json.loads(recipe)["fingerprint"]
        records[view] = _records(survey, view)
        tables[recipe_name(view)] = recipe
        tables[outcomes_name(view)] = table_bytes(outcomes_of(records[view], view))
    digests = shards | {name: sha256_bytes(data) for name, data in tables.items()}
    if fingerprints or survey.faults:
        tables[INDEX] = index_bytes(records, digests)
        digests[INDEX] = sha256_bytes(tables[INDEX])
    refill = {name: ids for name, ids in refill.items() if name not in digests}
    return Catalogue(digests=digests, fingerprints=fingerprints, refill=refill), tables


def _lost(survey: Survey, view: str) -> dict[str, list[str]]:
    """Return the numbers to fill again: dropped shards, and gaps between waiting ones."""
    places = survey.places(view)
    refill = {}
    for number, name in shards_in(survey.faults, view).items():
        ids = [] if places is None else sorted(places["utterance_id"][places["shard"] == number])
        if ids or places is None:  # no clips: a name that damage made up
            refill[name] = ids
    waiting = shards_in(survey.waiting, view)
    known = shards_in([*survey.claims, *(survey.catalogue or Catalogue()).refill], view)
    # The jobs of a plan finish in any order: the numbers of those still to come stay free.
    for number in range(max(known, default=-1) + 1, max(waiting, default=-1)):
        refill[shard_name(view, number)] = []
    return refill


def _recipe(survey: Survey, view: str) -> bytes | None:
    """Return a view's recipe, from a shard if its own file is not whole."""
    name = recipe_name(view)
    if name in survey.intact:
        return (survey.root / name).read_bytes()
    for _, shard in survey.shards(view, [*survey.intact, *survey.waiting]):
        return recipe_bytes(shard.recipe, shard.provenance)
    return None


def _records(survey: Survey, view: str) -> pd.DataFrame:
    """Return the clips of a view whose shards are whole, from its tables or else its shards."""
    outcomes = survey.table(outcomes_name(view))
    whole = shards_in(survey.intact, view)
    if survey.index is not None and outcomes is not None:
        known = split_index(survey.index, outcomes, view)
        frames = [known[known["shard"].isin(whole)]]
    else:
        places = survey.places(view)
        frames = []
        for number, shard in survey.shards(view, survey.intact):
            clips = shard.clips.assign(shard=number)
            if places is not None:
                live = places["utterance_id"][places["shard"] == number]
                clips = clips[clips["utterance_id"].isin(live)]
            frames.append(clips)
    waiting = survey.shards(view, survey.waiting)
    return merged([*frames, *(shard.clips.assign(shard=number) for number, shard in waiting)])
