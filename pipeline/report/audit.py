"""An audit on the disk: its tables and its picture."""

from pathlib import Path

from pipeline.figures.audit import draw_audit
from pipeline.manifests.audit import Audit
from pipeline.manifests.tables import write_csv
from pipeline.manifests.text_leaks import texts_table

TABLE, TEXTS, PICTURE = "audit.csv", "audit_texts.csv", "audit.png"


def write_audit(folder: Path, audit: Audit, *, title: str) -> None:
    """Write `audit.csv`, draw it as `audit.png`, and write what texts tell as `audit_texts.csv`.

    Raises:
        OutputError: If they cannot be written.
    """
    write_csv(folder / TABLE, audit.table)
    texts = texts_table(audit.texts)
    if len(texts):
        write_csv(folder / TEXTS, texts)
    draw_audit(folder / PICTURE, audit.table, audit.classes, title=title, verdict=_verdict(audit))


def _verdict(audit: Audit) -> str:
    """Return one line on what the parts share."""
    known = f" ({audit.num_nameless} clips have no known speaker.)" * bool(audit.num_nameless)
    leaking = [fold for fold, leaks in audit.leaks.items() if leaks.speakers]
    if not leaking:
        return f"No speaker is known to be in two parts.{known}"
    if audit.leaks.keys() == {""}:
        return f"{len(audit.leaks[''].speakers)} speakers are in more than one part.{known}"
    return (
        f"{len(leaking)} of {len(audit.leaks)} splits have speakers in more than one part.{known}"
    )
