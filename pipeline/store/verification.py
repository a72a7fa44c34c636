"""Holding every file of a store to its digest."""

from pathlib import Path

from pipeline.errors import FeatureStoreError
from pipeline.files import read_bytes
from pipeline.locks import RUN_LOCK, is_held
from pipeline.store.contents import CONTENTS, INDEX, NEXT, outcomes_name, recipe_name, shards_in
from pipeline.store.format import read_shard_bytes
from pipeline.store.survey import Survey, survey_store


def verify_store(root: Path) -> list[str]:
    """Hold every file of a store to its digest; return one message per fault, none if whole.

    Raises:
        FeatureStoreError: If there is no store, or a run is writing it now.
    """
    require_store(root)
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
        num_clips = len(read_shard_bytes(read_bytes(root / name), root / name).clips)
        messages.append(
            f"{root / name}: a finished shard, its {num_clips} clips wait for a commit; {again}."
        )
    messages += [f"{path}: left by a run that was stopped; {again}." for path in survey.left_over]
    messages += [f"{path}: no part of this store; remove it." for path in survey.foreign]
    return [*messages, _affected(survey)] if survey.faults else messages


def require_store(root: Path) -> None:
    """Refuse a folder that is no store.

    Raises:
        FeatureStoreError: If nothing of a store is in it.
    """
    if not any((root / name).exists() for name in (CONTENTS, NEXT, INDEX, "views")):
        raise FeatureStoreError(f"{root}: no feature store there; make one with 'genser extract'.")


def _affected(survey: Survey) -> str:
    hit: set[str] = set()
    every: set[str] = set()
    for folder in survey.currents.values():
        places = survey.places(folder)
        if places is None:
            return f"{survey.root}: how many clips are affected cannot be told before a repair."
        lost = shards_in(survey.faults, folder)
        needed = {CONTENTS, INDEX, recipe_name(folder), outcomes_name(folder)}
        # Without one of its tables nothing of a view can be read.
        is_hit = places["shard"].isin(lost) | (not needed.isdisjoint(survey.faults))
        hit |= set(places["utterance_id"][is_hit])
        every |= set(places["utterance_id"])
    return f"{survey.root}: {len(hit)} of {len(every)} clips are affected."
