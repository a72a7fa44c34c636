"""Grammars of descriptions: YAML files that people edit and translate."""

from pathlib import Path
from typing import TYPE_CHECKING

from stages.params import read_yaml

if TYPE_CHECKING:
    from pipeline.descriptions.grammar import Grammar


def read_grammar(path: str) -> "Grammar":
    """Read a grammar; the English one that genser brings where none is named.

    Raises:
        ParamsError: If the file is not one.
    """
    from pipeline import descriptions
    from pipeline.descriptions.grammar import Grammar

    file = Path(path) if path else Path(descriptions.__path__[0]) / "english.yaml"
    return Grammar.load(read_yaml(file), str(file))
