"""Dropping what is damaged of a store, and mending its tables from the rest."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from pipeline.errors import FeatureStoreError
from pipeline.files import read_bytes, sha256_bytes, writing
from pipeline.locks import RUN_LOCK, FileLock, hold
from pipeline.store.commit import commit, finish_commit
from pipeline.store.contents import (
    CONTENTS,
    INDEX,
    NEXT,
    Contents,
    Edition,
    fitted_name,
    outcomes_name,
    recipe_name,
    shard_name,
    shards_in,
    view_of,
)
from pipeline.store.index import (
    index_bytes,
    merged,
    outcomes_bytes,
    split_index,
    stands_alone,
)
from pipeline.store.recipe import read_recipe, recipe_bytes
from pipeline.store.survey import Survey, survey_store
from pipeline.store.verification import require_store


def repair_store(root: Path) -> list[str]:
    """Drop damaged shards, mend the tables from the others, and return what was done.

    The next extract makes dropped shards anew under their old numbers. Finished shards that wait
    for a commit are taken in; files that no genser writes stay where they are.

    Raises:
        FeatureStoreError: If there is no store, or a run is writing it now.
        OutputError: If the folder cannot be written.
    """
    require_store(root)
    with hold(FileLock(root / RUN_LOCK)):
        done = _settle(root)
        survey = survey_store(root)
        contents, tables = _recovered(survey)
        if survey.faults or contents != survey.contents:
            commit(root, contents, tables)
        done += [f"{root / name}: taken into the store" for name in survey.waiting]
        for name in survey.faults:
            is_mended = name == CONTENTS or name in contents.digests
            done.append(f"{root / name}: " + ("written anew" if is_mended else "dropped"))
        waiting = {(root / name).with_suffix(".sha256") for name in survey.waiting}
        with writing(root):
            for path in sorted({*survey.left_over, *waiting}):
                path.unlink(missing_ok=True)
            for name in survey.faults.keys() - contents.digests.keys() - {CONTENTS}:
                (root / name).unlink(missing_ok=True)
        done += [f"{path}: removed" for path in survey.left_over]
    return done


def _settle(root: Path) -> list[str]:
    """Finish the commit of a killed run, or forget it if its list of files is damaged."""
    path = root / NEXT
    try:
        return [f"{path}: its commit is finished"] if finish_commit(root) else []
    except FeatureStoreError:
        with writing(path):
            path.unlink()
        return [f"{path}: damaged, removed"]


def _recovered(survey: Survey) -> tuple[Contents, dict[str, bytes]]:
    """Return the contents and the tables that what is whole of a store can have."""
    old = survey.contents or Contents()
    contents = Contents(refill=dict(old.refill))
    digests: dict[str, str] = {}
    records: dict[str, pd.DataFrame] = {}
    tables: dict[str, bytes] = {}
    for folder in _in_order(survey):
        contents.refill.update(_lost(survey, folder))
        recipe = _recipe(survey, folder)
        if recipe is None:
            continue  # nothing of the edition is whole
        view = view_of(folder)
        edition = Edition(
            folder=folder, fingerprint=read_recipe(recipe, recipe_name(folder)).fingerprint
        )
        is_current = survey.currents[view] == folder
        clips = _records(survey, folder)
        if is_current:
            contents = contents.with_current(edition)
            records[view] = clips
        else:
            contents = contents.with_kept(edition)
        digests |= _data(survey, folder)
        tables[recipe_name(folder)] = recipe
        tables[outcomes_name(folder)] = outcomes_bytes(clips, view, is_current=is_current)
    digests |= {name: sha256_bytes(data) for name, data in tables.items()}
    refill = {name: ids for name, ids in contents.refill.items() if name not in digests}
    contents = replace(contents, digests=digests, refill=refill)
    if tables or survey.faults:
        tables[INDEX] = index_bytes(records, contents)
        digests[INDEX] = sha256_bytes(tables[INDEX])
    return contents, tables


def _in_order(survey: Survey) -> list[str]:
    """Return the folders of editions: those that are kept in their order, then the others."""
    told = [e.folder for e in survey.placing.kept if e.folder in survey.folders]
    return [*told, *(folder for folder in survey.folders if folder not in told)]


def _data(survey: Survey, folder: str) -> dict[str, str]:
    """Return the digests of what is whole of an edition, its tables apart."""
    whole = {**survey.intact, **survey.waiting}
    names = [*shards_in(whole, folder).values(), fitted_name(folder)]
    return {name: whole[name] for name in names if name in whole}


def _lost(survey: Survey, folder: str) -> dict[str, list[str]]:
    """Return the numbers to fill again: dropped shards, and gaps between waiting ones."""
    places = survey.places(folder)
    refill = {}
    for number, name in shards_in(survey.faults, folder).items():
        ids = [] if places is None else sorted(places["utterance_id"][places["shard"] == number])
        if ids or places is None:  # no clips: a name that damage made up
            refill[name] = ids
    waiting = shards_in(survey.waiting, folder)
    known = shards_in([*survey.claims, *(survey.contents or Contents()).refill], folder)
    # The jobs of a plan finish in any order: the numbers of those still to come stay free.
    for number in range(max(known, default=-1) + 1, max(waiting, default=-1)):
        refill[shard_name(folder, number)] = []
    return refill


def _recipe(survey: Survey, folder: str) -> bytes | None:
    """Return an edition's recipe, from a shard if its own file is not whole."""
    name = recipe_name(folder)
    if name in survey.intact:
        return read_bytes(survey.root / name)
    for _, shard in survey.shards(folder, [*survey.intact, *survey.waiting]):
        return recipe_bytes(shard.recipe, shard.provenance)
    return None


def _records(survey: Survey, folder: str) -> pd.DataFrame:
    """Return the clips of an edition whose shards are whole, from its tables or its shards."""
    waiting = survey.shards(folder, survey.waiting)
    frames = [_known(survey, folder)]
    return merged([*frames, *(shard.records(number) for number, shard in waiting)])


def _known(survey: Survey, folder: str) -> pd.DataFrame:
    """Return the committed clips of an edition whose shards are whole."""
    outcomes = survey.table(outcomes_name(folder))
    whole = shards_in(survey.intact, folder)
    if outcomes is not None and stands_alone(outcomes):
        return outcomes[outcomes["shard"].isin(whole)]
    view = view_of(folder)
    if outcomes is not None and survey.index is not None and survey.currents[view] == folder:
        known = split_index(survey.index, outcomes, view)
        return known[known["shard"].isin(whole)]
    places = survey.places(folder)
    frames = []
    for number, shard in survey.shards(folder, survey.intact):
        clips = shard.records(number)
        if places is not None:
            live = places["utterance_id"][places["shard"] == number]
            clips = clips[clips["utterance_id"].isin(live)]
        frames.append(clips)
    return merged(frames)
