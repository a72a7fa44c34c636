"""What a head is compared with in a report: other systems, trained and scored on its rows."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.experiments.crossval import cross_validate, forget_other_runs
from pipeline.experiments.plan import Plan
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter
from pipeline.scoring.predictions import Predictions

PART = "own"  # the one part that there is, as a run's file names it


def train_baselines(
    manifest: Manifest,
    stores: Mapping[str, Path],
    plan: Plan,
    folder: Path,
    *,
    reporter: Reporter,
) -> dict[str, Predictions]:
    """Return what each system of a plan of one seed says about a manifest's rows, by its name.

    What was trained before is read again; runs of systems that the plan has not are removed.

    Args:
        manifest: Whose rows are trained on and scored.
        stores: By corpus.
        plan: The systems, and everything else that is the same for all.
        folder: Where the runs are kept.
        reporter: Is told of each run.

    Raises:
        GenserError: As `cross_validate`.
    """
    runs = cross_validate({PART: manifest}, stores, plan, folder, reporter=reporter)
    forget_other_runs(folder, runs)
    return {run.system: run.predictions for run in runs}
