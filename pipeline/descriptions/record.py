"""What a manifest's descriptors were made with, in `<manifest>.description.json` beside it.

Grammar, cuts and the ids that they were fitted on: enough to read a description back, and to make
the words of another clip from its numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.quantiles import Fit
from pipeline.descriptions.slots import SLOTS, Levels
from pipeline.errors import ManifestError
from pipeline.files import fingerprint, publish_bytes, read_bytes, sealed_json, unseal_json
from pipeline.manifests.descriptors import SELF_MADE
from pipeline.manifests.manifest import MEASURED

FORMAT = "genser-description"
FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Description:
    """What descriptors were made with.

    Attributes:
        grammar: Their words.
        measure: Where the numbers come from, plain JSON values.
        fits: Cuts by fold; "" is the column `split`.
    """

    grammar: Grammar
    measure: Mapping[str, Any]
    fits: Mapping[str, Fit]

    @property
    def source(self) -> str:
        """What `descriptors_source` says: grammar, measure and cuts by the digest of them."""
        return f"{SELF_MADE}{fingerprint(self._record)[:12]}"

    def levels(self, table: pd.DataFrame, fold: str = "") -> list[Levels]:
        """Return the levels of a manifest's rows, from the columns `measured.<slot>`.

        Args:
            table: Of the manifest, or some rows of it.
            fold: Whose cuts.

        Raises:
            ManifestError: If nothing was fitted for the fold.
        """
        if fold not in self.fits:
            raise ManifestError(
                f"{self.grammar.where}: has cuts of the folds {list(self.fits)}, found {fold!r} "
                "wanted; run 'genser describe' on the manifest with this split."
            )
        numbers = {
            slot: table.get(f"{MEASURED}{slot}", pd.Series(np.nan, index=table.index))
            for slot in SLOTS
        }
        return self.fits[fold].levels(pd.DataFrame(numbers), table)[0]

    @property
    def _record(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "grammar": self.grammar.content,
            "measure": dict(self.measure),
            "fits": {fold: fit.record for fold, fit in self.fits.items()},
        }

    def write(self, path: Path) -> None:
        """Write it beside a manifest.

        Raises:
            OutputError: If it cannot be written.
        """
        publish_bytes(path, sealed_json(self._record))


def description_path(manifest: Path) -> Path:
    """Return where the description of a manifest's descriptors lies."""
    return manifest.with_name(f"{manifest.name}.description.json")


def read_description(path: Path) -> Description:
    """Read what `Description.write` wrote.

    Raises:
        ManifestError: If it is absent, damaged, or something else.
    """
    try:
        data = read_bytes(path)
    except OSError as error:
        raise ManifestError(
            f"{path}: cannot be read ({error.strerror}); 'genser describe' writes it beside the "
            "manifest."
        ) from error
    record = unseal_json(data)
    if record is None or (record.get("format"), record.get("format_version")) != (
        FORMAT,
        FORMAT_VERSION,
    ):
        raise ManifestError(
            f"{path}: is damaged, or no {FORMAT} of version {FORMAT_VERSION}; run "
            "'genser describe' again."
        )
    return Description(
        grammar=Grammar.load(record["grammar"], str(path)),
        measure=record["measure"],
        fits={fold: Fit.from_record(fit) for fold, fit in record["fits"].items()},
    )
