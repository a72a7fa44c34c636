"""From a manifest and its recordings to a fine-tuned encoder in a folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.encoders.base import BlockEncoder
from pipeline.errors import EncoderError, ManifestError
from pipeline.files import require_writable, sha256_bytes
from pipeline.finetuning.config import LORA, FinetuneConfig
from pipeline.finetuning.folder import write_folder
from pipeline.finetuning.network import TunedEncoder
from pipeline.finetuning.tuning import open_tunable
from pipeline.finetuning.waveforms import Recordings, Waveforms, look_at
from pipeline.heads.standardiser import CORPUS
from pipeline.manifests.labels import LabelMap, class_names
from pipeline.manifests.manifest import Manifest, speaker_names
from pipeline.manifests.numbers import ENDS, Numbers
from pipeline.progress import Reporter
from pipeline.provenance import package_versions
from pipeline.training.batches import LabelledClips, TrainingClips
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.curves import write_curves
from pipeline.training.loop import Selection, train_head
from pipeline.training.rows import TrainingRows, choose_rows, labels_told, require_selector
from pipeline.training.targets import make_targets
from pipeline.training.weighting import weigh_rows


@dataclass(frozen=True, kw_only=True)
class Task:
    """What an encoder is fine-tuned on.

    Attributes:
        manifest: The manifest.
        audio_roots: Folder of each corpus.
        name: Label column.
        label_map: Of the task.
        allow_overlap: Whether splits may share speakers or audio.
    """

    manifest: Manifest
    audio_roots: Mapping[str, Path]
    name: str
    label_map: LabelMap | None
    allow_overlap: bool

    @property
    def wanted(self) -> np.ndarray:
        """Which rows are trained on or selected by, bool, shape (N,).

        Raises:
            ManifestError: If there is no such column, or a label is not in the map.
        """
        names = class_names(self.manifest, self.name, self.label_map)
        chosen = (names != "") & self.manifest.table["split"].isin(("train", "dev"))
        return chosen.to_numpy(dtype=bool)

    @property
    def size(self) -> tuple[int, int]:
        """How many labelled rows split train has, and of how many classes; of numbers the ends.

        Raises:
            ManifestError: As `wanted`.
        """
        names = class_names(self.manifest, self.name, self.label_map)
        names = names[self.wanted & (self.manifest.table["split"] == "train").to_numpy()]
        is_number = self.label_map is not None and self.label_map.numbers
        return len(names), len(ENDS) if is_number else names.nunique()


def finetune(
    task: Task,
    config: FinetuneConfig,
    out: Path,
    *,
    device: str,
    workers: int,
    reporter: Reporter,
) -> Selection:
    """Fine-tune an encoder on the rows of split train, select it on dev, and write its folder.

    Args:
        task: On what.
        config: How.
        out: Folder of the encoder that comes of it.
        device: A torch device.
        workers: Threads that decode; changes speed only.
        reporter: Hears of progress.

    Raises:
        ManifestError: As `choose_rows`, or if the encoder has seen rows of dev or test.
        EncoderError: If the encoder cannot be loaded, or has no blocks.
        ParamsError: If it has not so many, or no such layers to adapt, or is selected by a measure
            that the labels do not have.
        OutputError: If the folder cannot be written.
    """
    if out.exists() and Path(config.encoder).exists() and out.samefile(config.encoder):
        raise EncoderError(f"{out}: is the encoder's own folder; give another one with --out.")
    require_selector(config.select_by, task.label_map, config.section)
    wanted = task.wanted
    encoder = open_tunable(config.encoder, device=device)
    _require_unseen(task.manifest, encoder)
    limit = encoder.outline.max_window_s
    if limit is not None and config.max_s > limit:
        raise EncoderError(
            f"finetune.max_s: the encoder {config.encoder} takes {limit:g} seconds at once, found "
            f"{config.max_s:g}; set it to that or less."
        )
    require_writable(out)
    recordings = look_at(
        task.manifest, task.audio_roots, wanted, encoder, workers=workers, reporter=reporter
    )
    rows = choose_rows(
        task.manifest,
        recordings,
        task=task.name,
        label_map=task.label_map,
        allow_overlap=task.allow_overlap,
        read="a usable recording",
    )
    reporter.say(_describe(rows))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = TunedEncoder(encoder, len(rows.classes), config)
        if rows.numbers is not None:
            head.learn_numbers(config.section)
    sources = [
        Waveforms(recordings, part, encoder, workers=workers, device=device)
        for part in (rows.train, rows.dev)
    ]
    train = _training_clips(task, rows, sources[0], config)
    dev = LabelledClips(
        source=sources[1], labels=rows.labels[rows.dev], numbers=_numbers(rows, rows.dev)
    )
    checkpoints = Checkpoints(out, _binding(task, config, encoder, recordings, rows, train, device))
    selection = train_head(
        head, train, dev, config, checkpoints=checkpoints, device=device, reporter=reporter
    )
    write_curves(out, selection.curves, title=f"{config.encoder} on {task.name}")
    record = _record(task, config, encoder, recordings, rows, selection)
    write_folder(out, config.encoder, head.tuned_weights(), record)
    checkpoints.clear()
    return selection


def _require_unseen(manifest: Manifest, encoder: BlockEncoder) -> None:
    """Refuse to go on with an encoder that was fine-tuned on what it would be judged by."""
    seen = np.isin(np.array(manifest.store_ids, dtype="U"), np.array(encoder.fit_ids, dtype="U"))
    judged = manifest.table["split"].isin(("dev", "test")).to_numpy()
    bad = np.flatnonzero(seen & judged)
    if len(bad):
        first = manifest.table.iloc[bad[0]]
        raise ManifestError(
            f"{manifest.path}: {len(bad)} clips of dev and test are among those that the encoder "
            f"was fine-tuned on before, the first {first['utterance_id']!r} of {first['split']}, "
            "wanted none; start from the encoder that it was made of."
        )


def _describe(rows: TrainingRows) -> str:
    skipped = f"; {rows.num_skipped} that cannot be used are skipped" * bool(rows.num_skipped)
    return f"{len(rows.train)} training and {len(rows.dev)} dev clips, {labels_told(rows)}{skipped}"


def _numbers(rows: TrainingRows, part: np.ndarray) -> Numbers | None:
    return None if rows.numbers is None else rows.numbers.of(part)


def _training_clips(
    task: Task, rows: TrainingRows, source: Waveforms, config: FinetuneConfig
) -> TrainingClips:
    table = task.manifest.table.iloc[rows.train]
    labels, numbers = rows.labels[rows.train], _numbers(rows, rows.train)
    targets = make_targets(
        table, labels, rows.classes, task.label_map, kind=config.targets, numbers=numbers
    )
    weighting = weigh_rows(
        targets, table[CORPUS].tolist(), balance=config.balance, corpus_temperature=1.0
    )
    return TrainingClips(
        source=source,
        labels=labels,
        numbers=numbers,
        speakers=np.array(speaker_names(table), dtype="U"),
        targets=targets,
        weighting=weighting,
    )


def _binding(
    task: Task,
    config: FinetuneConfig,
    encoder: BlockEncoder,
    recordings: Recordings,
    rows: TrainingRows,
    train: TrainingClips,
    device: str,
) -> list[Any]:
    """Return everything that shapes the result, which a checkpoint must agree with."""
    used = np.concatenate([rows.train, rows.dev])
    arrays = [rows.labels[used], train.targets, train.weighting.draw]
    arrays += [] if rows.numbers is None else [rows.numbers.values[used]]
    return [
        config.as_json(),
        dict(encoder.identity),
        recordings.audio_digests.iloc[used].tolist(),
        [sha256_bytes(np.ascontiguousarray(array).data) for array in arrays],
        [task.name, *rows.classes],
        device,
    ]


def _record(
    task: Task,
    config: FinetuneConfig,
    encoder: BlockEncoder,
    recordings: Recordings,
    rows: TrainingRows,
    selection: Selection,
) -> dict[str, Any]:
    """Return what `finetune.json` says; of a chain of fine-tunings the ids are those of all."""
    ids = np.array(task.manifest.store_ids, dtype=object)
    digests = recordings.audio_digests
    extra = {"peft": version("peft")} if config.method == LORA else {}
    scale = {} if rows.numbers is None else {"scale": asdict(rows.numbers.scale)}
    return {
        "manifest": str(task.manifest.path),
        "task": task.name,
        "classes": list(rows.classes),
        **scale,
        "fit_ids": sorted({*ids[rows.train], *encoder.fit_ids}),
        "dev_ids": sorted(ids[rows.dev]),
        "fit_audio": sorted(digests.iloc[rows.train]),
        "dev_audio": sorted(digests.iloc[rows.dev]),
        "encoder": config.encoder,
        "base": dict(encoder.identity),
        "finetune": config.as_json(),
        "dev": selection.dev,
        "best_step": selection.best_step,
        "leaks": rows.leaks.counts(),
        "versions": {**package_versions(), **extra},
    }
