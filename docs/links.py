"""The site's pages are files that are read in the repository too: links that hold there hold here.

Some pages are links to files at the top. What a page points to is looked up from where the file
lies; if it is a page it becomes a link to that, and if it is another file of the repository only
its text stays. What is neither is left to mkdocs, which refuses it under `--strict`.
"""

import os
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return a page's text with its links turned to pages of the site."""
    root = Path(config.config_file_path).parent.resolve()
    pages = {
        Path(file.abs_src_path).resolve(): file.src_uri
        for file in files.documentation_pages()
        if file.abs_src_path
    }
    assert page.file.abs_src_path
    here = Path(page.file.abs_src_path).resolve().parent

    def turned(match: re.Match[str]) -> str:
        text, path, anchor = match[1], match[2], match[3] or ""
        target = Path(os.path.normpath(here / path)).resolve()
        inside = target / "README.md" if target.is_dir() else target
        if inside in pages:
            link = os.path.relpath(pages[inside], Path(page.file.src_uri).parent)
            return f"[{text}]({link}{anchor})"
        is_ours = target.exists() and target.is_relative_to(root)
        return text if is_ours else match[0]

    return LINK.sub(turned, markdown)
