"""How often descriptions say what was measured: slot by slot, from the levels in both."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.descriptions.grammar import Grammar
from pipeline.descriptions.slots import SLOTS, Levels
from pipeline.errors import ShapeError

ALL = "all"  # the row of means over slots
NOT_SAID = -1


def slot_agreement(
    said: Sequence[str], measured: Sequence[Levels], grammar: Grammar
) -> pd.DataFrame:
    """Compare the levels that texts say with those that were measured, slot by slot.

        accuracy = clips whose text says the measured level / clips with a measured level
        macro_f1 = mean over levels l that are measured or said of 2 hits_l / (measured_l + said_l)

    A text that says nothing of a slot is wrong there. For the ceiling, give the texts that the
    grammar makes of the levels themselves; for the floor, `most_frequent` for every clip.

    Args:
        said: A text for each clip, of any origin; "" says nothing.
        measured: The levels of the same clips, e.g. `grammar.levels_said` of their descriptors.
        grammar: In whose words the texts are read.

    Returns:
        Columns slot, clips (with a measured level), said (the part of those whose text says a
        level), accuracy and macro_f1, in [0, 1]; a row for each slot that was measured of a clip,
        and the plain means over slots under `ALL`. Without a measured slot it has no rows.

    Raises:
        ShapeError: If there are not as many texts as clips.
    """
    if len(said) != len(measured):
        raise ShapeError(f"found {len(said)} texts for {len(measured)} clips, wanted one for each.")
    read = [grammar.levels_said(text) for text in said]
    rows = []
    for slot in SLOTS:
        pairs = [
            (truth[slot], text.get(slot, NOT_SAID))
            for truth, text in zip(measured, read, strict=True)
            if slot in truth
        ]
        if pairs:
            rows.append({"slot": slot, "clips": len(pairs), **_scores(np.array(pairs))})
    if not rows:
        return pd.DataFrame(columns=["slot", "clips", "said", "accuracy", "macro_f1"])
    table = pd.DataFrame(rows)
    means = table[["said", "accuracy", "macro_f1"]].mean()
    return pd.concat(
        [table, pd.DataFrame([{"slot": ALL, "clips": len(measured), **means}])], ignore_index=True
    )


def most_frequent(measured: Sequence[Levels]) -> dict[str, int]:
    """Return the most frequent level of each slot, the lower of two; of training clips, say.

    `Grammar.sentence` of it is the description that knows nothing of a clip.
    """
    counts = {slot: Counter(sorted(one[slot] for one in measured if slot in one)) for slot in SLOTS}
    return {slot: count.most_common(1)[0][0] for slot, count in counts.items() if count}


def _scores(pairs: np.ndarray) -> dict[str, float]:
    truth, said = pairs.T  # (N,) each
    levels = np.unique(pairs[pairs != NOT_SAID])
    hits = [np.sum((truth == level) & (said == level)) for level in levels]
    sizes = [np.sum(truth == level) + np.sum(said == level) for level in levels]
    return {
        "said": float(np.mean(said != NOT_SAID)),
        "accuracy": float(np.mean(truth == said)),
        "macro_f1": float(np.mean(2 * np.array(hits) / np.array(sizes))),
    }
