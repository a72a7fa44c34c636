"""An embed that is killed ends with the bytes of an undisturbed one."""

import itertools
from pathlib import Path

import pytest

from helpers.extraction import KILLED, forked, kill_at, outcome, tree
from helpers.texts import embed_texts, save_text_encoder, write_texts

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(tmp_path: Path):
    encoder, path = tmp_path / "bert", tmp_path / "m.csv"
    save_text_encoder(encoder)
    table = write_texts(path, 20)
    write_texts(path, 20, text=table["text"].where(table.index != 5, ""))
    embed_texts(path, tmp_path / "undisturbed", encoder)
    wanted = tree(tmp_path / "undisturbed")

    def work(event: int, folder: Path) -> None:
        kill_at(event)
        embed_texts(path, folder, encoder)

    for event in itertools.count():
        folder = tmp_path / f"store{event}"
        code = outcome(forked(lambda event=event, folder=folder: work(event, folder)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        embed_texts(path, folder, encoder)
        assert tree(folder) == wanted, event
    assert event > 10
    assert tree(folder) == wanted
