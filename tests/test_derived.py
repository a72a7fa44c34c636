"""Derived views: what they were fitted with and on, and from which edition of which view."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.extraction import tree
from helpers.views import bring_up, features_of, write_files
from pipeline.errors import FeatureStoreError
from pipeline.files import sha256_bytes
from pipeline.store.reader import FeatureStore
from pipeline.store.recipe import derived_recipe, require_parent
from pipeline.store.repair import repair_store
from pipeline.store.verification import verify_store
from pipeline.store.views import FRAMES

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")

FITTED = b"stands for centroids"
FIT_IDS = ["b", "a"]
NAME = "views/codes/fitted.safetensors"


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    return write_files(tmp_path / "files", b="bb", a="aaaa", c="ccc")


def recipe_of(root: Path, fitted: bytes = FITTED) -> dict[str, Any]:
    return derived_recipe(
        "codes",
        parent=FRAMES,
        parent_recipe=FeatureStore.open(root).view(FRAMES).recipe,
        fitted_digest=sha256_bytes(fitted),
        fit_ids=FIT_IDS,
        settings={"num_codes": 2, "dim": 4},
    )


def derive(root: Path, clips: dict[str, Path], fitted: bytes = FITTED, **options: Any) -> int:
    recipe = recipe_of(root, fitted)
    provenance = {"fit_ids": sorted(FIT_IDS)}
    return bring_up(root, "codes", clips, recipe, fitted=fitted, provenance=provenance, **options)


@pytest.fixture
def root(tmp_path: Path, clips: dict[str, Path]) -> Path:
    """A store of frames and of codes derived from them."""
    bring_up(tmp_path / "store", FRAMES, clips)
    assert derive(tmp_path / "store", clips) == 3
    return tmp_path / "store"


def test_a_derived_view_names_parent_fit_and_fitted_file(root: Path) -> None:
    store = FeatureStore.open(root)
    codes = store.view("codes")
    assert codes.recipe["parent"] == {
        "view": FRAMES,
        "fingerprint": store.contents.fingerprints[FRAMES],
        "recipe": store.view(FRAMES).recipe,
    }
    assert codes.recipe["fitted"] == store.contents.digests[NAME] == sha256_bytes(FITTED)
    assert codes.fit_ids == {"a", "b"}
    assert store.view(FRAMES).fit_ids == frozenset()
    assert (root / NAME).read_bytes() == FITTED
    assert verify_store(root) == []


def test_other_fit_ids_are_another_recipe_in_whatever_order(root: Path) -> None:
    def digest(ids: list[str]) -> object:
        return derived_recipe(
            "codes",
            parent=FRAMES,
            parent_recipe={},
            fitted_digest="",
            fit_ids=ids,
            settings={},
        )["fit_ids"]

    assert digest(["a", "b"]) == digest(["b", "a"]) == recipe_of(root)["fit_ids"]
    assert digest(["a"]) != digest(["a", "b"])


def test_a_derived_view_is_stale_once_its_parent_was_replaced(
    root: Path, clips: dict[str, Path]
) -> None:
    bring_up(root, FRAMES, clips, {"rows": [1]}, replace=True)
    codes = FeatureStore.open(root).view("codes")
    message = (
        r"view 'codes': made from edition \w{12} of view 'frames', which is edition \w{12} now"
    )
    for ask in (codes.read_ragged, codes.num_frames):
        with pytest.raises(FeatureStoreError, match=message + ".* make this view again .*replace"):
            ask(["a"])  # type: ignore[operator]
    assert len(codes.records) == 3  # other views' runs still see its clips
    # Either cure: the old edition back, or the view made again.
    bring_up(root, FRAMES, clips, replace=True)
    assert len(FeatureStore.open(root).view("codes").read_ragged(["a"])) == 1
    bring_up(root, FRAMES, clips, {"rows": [1]}, replace=True)
    assert derive(root, clips, replace=True) == 3
    (found,) = FeatureStore.open(root).view("codes").read_ragged(["a"])
    np.testing.assert_array_equal(found, features_of("codes", clips["a"]))
    assert verify_store(root) == []


def test_a_derived_view_without_its_parent_is_refused() -> None:
    recipe = {"parent": {"view": FRAMES, "fingerprint": "0" * 64}}
    with pytest.raises(
        FeatureStoreError, match="of view 'frames', which is not in the store; make"
    ):
        require_parent("here", recipe, {})
    require_parent("here", {"source": "audio"}, {})


def test_a_fitted_file_that_the_recipe_does_not_name_is_refused(
    root: Path, clips: dict[str, Path]
) -> None:
    before = tree(root)
    with pytest.raises(
        FeatureStoreError, match=r"fitted\.safetensors: found digest .* fit it again"
    ):
        bring_up(root, "codes", clips, recipe_of(root), fitted=b"other")
    assert tree(root) == before


def test_a_view_without_its_fitted_file_is_not_committed(
    tmp_path: Path, clips: dict[str, Path]
) -> None:
    root = tmp_path / "store"
    bring_up(root, FRAMES, clips)
    before = tree(root)
    with pytest.raises(FeatureStoreError, match=r"found digest nothing, the recipe says \w{12}"):
        bring_up(root, "codes", clips, recipe_of(root))
    assert FeatureStore.open(root).views == [FRAMES]
    assert tree(root)["store.json"] == before["store.json"]
    assert derive(root, clips) == 0  # its shards were finished


def test_another_fit_is_an_edition_of_its_own(root: Path, clips: dict[str, Path]) -> None:
    before = tree(root)
    assert derive(root, clips, b"other", replace=True) == 3
    folder = FeatureStore.open(root).view("codes").edition.folder
    assert (root / f"views/{folder}/fitted.safetensors").read_bytes() == b"other"
    assert derive(root, clips, replace=True) == 0
    assert derive(root, clips, prune=True, kept_bytes=0) == 0
    assert tree(root) == before


@pytest.mark.parametrize("damage", ["flip", "gone"])
def test_a_damaged_fitted_file_is_found_and_made_anew(
    root: Path, clips: dict[str, Path], damage: str
) -> None:
    wanted = tree(root)
    if damage == "flip":
        (root / NAME).write_bytes(b"S" + FITTED[1:])
    else:
        (root / NAME).unlink()
    assert any(fault.startswith(f"{root / NAME}: ") for fault in verify_store(root))
    repair_store(root)
    assert verify_store(root) == []
    assert derive(root, clips) == 0
    assert tree(root) == wanted
