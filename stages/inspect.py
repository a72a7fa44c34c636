"""`genser inspect`: what a store, a head, predictions, parameters or a manifest hold."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.errors import HeadError, first_ten
from pipeline.store.views import CODES, FRAMES, LAYERS
from pipeline.typed import typed
from stages.costs import cost_facts
from stages.kinds import kind_of
from stages.options import params_of
from stages.params import HEADS, Params
from stages.sections import section_kinds


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, path: Path, as_json: bool) -> None:
    """Show what a store, a head, a predictions file, a parameter file or a manifest holds.

    \b
    Example:
      genser inspect params/paper.yaml
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        "store": _store,
        "head": _head,
        "encoder": _encoder,
        "predictions": _predictions,
        "manifest": _manifest,
        "params": lambda p: _params(p, params_of(context)),
    }
    facts = readers[kind_of(path)](path)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, default=str))
        return
    _show(facts)


def _store(path: Path) -> dict[str, Any]:
    from pipeline.audio.outcomes import OK
    from pipeline.store.editions import size_of
    from pipeline.store.reader import FeatureStore
    from pipeline.store.recipe import differences, flatten

    store = FeatureStore.open(path)
    views: dict[str, Any] = {}
    failures: list[str] = []
    complaints: list[str] = []
    for name in store.views:
        view = store.view(name)
        counts = view.records["outcome"].value_counts().sort_index()
        told = view.records[view.records["message"] != ""]
        for i, outcome, message in told[["utterance_id", "outcome", "message"]].values:
            lines = complaints if outcome == OK else failures
            lines.append(f"{name}, {i!r}: {outcome}: {message}")
        views[name] = {
            "outcomes": {str(k): int(v) for k, v in counts.items()},
            "shards": len(store.contents.shard_numbers(view.edition.folder)),
            "fingerprint": view.fingerprint,
            "recipe": dict(flatten(view.recipe)),
            "provenance": _provenance(view),
        }
        kept = {
            edition.edition.folder: {
                "megabytes": round(size_of(path, edition.edition.folder) / 1e6, 1),
                "clips": len(edition.records),
                "fingerprint": edition.fingerprint,
                "differs": differences(edition.recipe, view.recipe),
            }
            for edition in store.kept
            if edition.name == name
        }
        if kept:
            views[name]["kept"] = kept
    files = [f for f in path.rglob("*") if f.is_file()]
    return {
        "kind": "feature store",
        "clips": len(store.index),
        "hours": round(float(store.index["duration"].sum()) / 3600, 3),
        "megabytes": round(sum(f.stat().st_size for f in files) / 1e6, 1),
        "views": views,
        "failures": failures,
        "complaints": complaints,
    }


def _provenance(view: Any) -> dict[str, Any]:
    """Return what is recorded of a view; of the clips that it was fitted on, how many there are."""
    from pipeline.store.recipe import flatten

    told = dict(flatten(view.provenance))
    if told.pop("fit_ids", None) is not None:
        told["clips fitted on"] = len(view.fit_ids)
    return told


def _head(path: Path) -> dict[str, Any]:
    from pipeline.heads.folder import read_head_record
    from pipeline.parameters import filled
    from pipeline.training.config import TrainConfig

    record = read_head_record(path)
    told = filled(TrainConfig, record.train)
    train = typed(TrainConfig, told, path, section="train", error=HeadError, others=True)
    config = replace(train, heads={record.kind: record.head_config})
    link = "temperature" if record.link is None else "link"
    scale = record.scale
    shown = ("encoder", "dev", "best_step", link, "seed", "leaks")
    return {
        "kind": f"head ({record.kind})",
        **cost_facts(config, record.shapes, len(record.classes)),
        "features": {need: _shape(shape) for need, shape in record.shapes.items()},
        "bases": [base.spelling for base in record.bases],
        "task": record.task,
        **({"scale": dataclasses.asdict(scale)} if scale else {"classes": record.classes}),
        **{name: getattr(record, name) for name in shown},
        "clips": {name: getattr(record, f"num_{name}") for name in ("train", "dev", "skipped")},
        "train": {**record.train, record.kind: record.config},
    }


def _encoder(path: Path) -> dict[str, Any]:
    from pipeline.encoders.finetuned import read_finetuned

    found = read_finetuned(path)
    assert found is not None
    record = dict(found.record)
    shown = ("manifest", "task", "classes", "encoder", "base", "dev", "best_step", "finetune")
    return {
        "kind": "fine-tuned encoder",
        "digest": found.digest,
        "clips": {part: len(record[f"{part}_ids"]) for part in ("fit", "dev")},
        **{name: record[name] for name in shown},
    }


def _shape(shape: Any) -> str:
    return f"{shape.num_layers} layers of {shape.dim}, x1 is layer {shape.last_layer}"


def _predictions(path: Path) -> dict[str, Any]:
    from pipeline.report.measures import measure
    from pipeline.scoring.predictions import read_predictions

    predictions = read_predictions(path)
    return {
        "kind": "predictions",
        "rows": predictions.table.num_rows,
        "classes": list(predictions.classes),
        **predictions.metadata,
        **measure(predictions),
    }


def _manifest(path: Path) -> dict[str, Any]:
    from pipeline.manifests.manifest import read_manifest
    from pipeline.manifests.overview import manifest_facts

    return {"kind": "manifest", **manifest_facts(read_manifest(path))}


def _params(path: Path, given: Params) -> dict[str, Any]:
    from pipeline.heads.catalogue import head_needs

    params = Params(path, given.overrides)
    kinds: dict[str, Any] = dict(section_kinds())
    sections = {name: params.section(name, kind) for name, kind in kinds.items()}
    train = sections["train"]
    needs = head_needs(train.head, train.head_config)
    shapes = {
        need.name: _shape_of(need, *(sections[name] for name in ("extract", "tokenise", "embed")))
        for need in needs
    }
    facts: dict[str, Any] = {"kind": "parameters"}
    if None in shapes.values():
        facts["parameters"] = "unknown until extract.num_layers and extract.dim are"
    else:
        # Two classes stand for any number: the codes are fixed and count for nothing.
        facts |= cost_facts(train, shapes, 2)
        told = {name: f"{one.num_layers} layers of {one.dim}" for name, one in shapes.items()}
        facts["features"] = told[LAYERS] if list(told) == [LAYERS] else told
    return facts | {name: _all_keys(section) for name, section in sections.items()}


def _all_keys(section: Any) -> dict[str, Any]:
    """Return every key of a section, those of heads that it does not name too."""
    values = dataclasses.asdict(section)
    given = values.pop(HEADS, None)
    if given is None:
        return values
    kinds = section.subsections()
    return values | {n: given.get(n) or dataclasses.asdict(kind()) for n, kind in kinds.items()}


def _shape_of(need: Any, extract: Any, tokenise: Any, embed: Any) -> Any:
    """Return the shape of a need as the parameters would make its view; None where unknown."""
    from pipeline.heads.needs import FeatureShape, chosen

    views = {view.name: view for view in extract.view_settings()}
    frames = next((view for view in views.values() if view.kind == FRAMES), None)
    is_derived = need.kind == CODES and need.view not in views
    view = frames if is_derived else views.get(need.view)
    is_embedded = need.kind == LAYERS and need.view not in views
    size = _size_of_texts(embed) if is_embedded else None if view is None else _size(view)
    if size is None:
        return None
    num_layers, dim, num_codes = size
    shape = FeatureShape(
        num_layers=num_layers,
        dim=dim,
        last_layer=num_layers - 1,
        input_layer=0,
        num_codes=tokenise.k[0] if is_derived else num_codes,
    )
    return chosen(shape, need)


def _size(view: Any) -> tuple[int, int, int | None] | None:
    """Return layers, width and number of codes of a view, from its settings or its encoder."""
    from pipeline.encoders.catalogue import is_at_hand, outline_of

    num_codes: int | None = None
    if view.num_layers is not None and view.dim is not None:
        num_layers, dim = view.num_layers, view.dim
    elif is_at_hand(view.encoder):
        outline = outline_of(view.encoder)
        num_layers, dim, num_codes = outline.num_layers, outline.dim, outline.num_codes
    else:
        return None
    if view.kind == FRAMES:
        return len(view.layers), dim, None
    if view.kind == CODES:
        return view.codebooks or num_layers, dim, num_codes
    return num_layers, dim * (2 if view.pooling == "mean_std" else 1), None


def _size_of_texts(embed: Any) -> tuple[int, int, None] | None:
    """Return layers and width of a view of texts, as its encoder's configuration tells."""
    from pipeline.encoders.hub import is_local
    from pipeline.encoders.text import read_text_config

    if not embed.encoder or not is_local(embed.encoder):
        return None
    return 1, int(read_text_config(embed.encoder).hidden_size), None


def _show(facts: Mapping[str, Any], indent: str = "") -> None:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            if not any(isinstance(part, Mapping) for part in value.values()):
                inline = ", ".join(f"{key} {_plain(part)}" for key, part in value.items())
                click.echo(f"{indent}{name:<12} {inline}")
            else:
                click.echo(f"{indent}{name}")
                _show(value, indent + "  ")
        elif name in ("failures", "complaints"):
            label = {"failures": "failed", "complaints": "complaint"}[name]
            for line in first_ten(value):
                click.echo(f"{indent}{label:<12} {line}")
        else:
            click.echo(f"{indent}{name:<12} {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
