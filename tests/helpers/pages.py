"""What an HTML page refers to, and how its tags nest."""

from html.parser import HTMLParser
from pathlib import Path


class Tags(HTMLParser):
    """Collects what a page refers to, and how its tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.names.append(tag)
        if "src" in values:
            self.sources.append(str(values["src"]))
        if "href" in values:
            self.links.append(str(values["href"]))
        if "id" in values:
            self.ids.add(str(values["id"]))


def parsed(path: Path) -> Tags:
    tags = Tags()
    tags.feed(path.read_text("utf-8"))
    return tags
