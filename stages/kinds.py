"""What a path holds, by the file that names its format."""

from pathlib import Path

from pipeline.errors import ParamsError

HOLDERS = {
    "store": ("store.json", "index.parquet", "views"),
    "head": ("head.json",),
    "encoder": ("finetune.json",),
}


def kind_of(path: Path) -> str:
    """Return `"store"`, `"head"`, `"encoder"`, `"predictions"`, `"manifest"` or `"params"`.

    Raises:
        ParamsError: If it is none of them.
    """
    if path.is_dir():
        for kind, names in HOLDERS.items():
            if any((path / name).exists() for name in names):
                return kind
    elif path.suffix == ".parquet":
        return "manifest" if _has_paths(path) else "predictions"
    elif path.suffix in (".csv", ".jsonl"):
        return "manifest"
    elif path.suffix in (".yaml", ".yml"):
        return "params"
    found = "nothing" if not path.exists() else "something else"
    raise ParamsError(
        f"{path}: found {found}, wanted a feature store, a head, a predictions file (.parquet), "
        "a parameter file (.yaml) or a manifest (.csv, .jsonl, .parquet)."
    )


def _has_paths(path: Path) -> bool:
    """Return whether a Parquet file has the column `path`: manifests do, predictions do not."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return "path" in pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError):
        return False
