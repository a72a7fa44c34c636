"""Where a trained head is: a folder, or a repository of the hub.

Apart from the other options, so that only the stages that take a head depend on heads.
"""

from pathlib import Path
from typing import Any

import click


class HeadPath(click.Path):
    """The folder of a trained head; one on the hub is fetched into its cache."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a folder of this machine."""
        from pipeline.encoders.hub import PREFIX

        if isinstance(value, str) and value.startswith(PREFIX):
            from pipeline.publishing.hub_heads import fetch_head

            return fetch_head(value)
        return super().convert(value, param, ctx)


HEAD = HeadPath(file_okay=False, path_type=Path)
