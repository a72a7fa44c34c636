"""A hub of Hugging Face on this machine: what pushing and fetching files takes of its HTTP."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Hub:
    """Repositories by name: their commits, oldest first, each with its files."""

    address: str = ""
    repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = field(default_factory=dict)

    def files(self, name: str, revision: str = "main") -> tuple[str, dict[str, bytes]]:
        """Return the commit that a revision means, and its files.

        Raises:
            KeyError: If there is none.
        """
        commits = self.repositories[name]
        if revision == "main":
            return commits[-1] if commits else ("0" * 40, {})
        return next(one for one in commits if one[0] == revision)

    def commit(self, name: str, lines: list[dict[str, Any]]) -> str:
        """Take a commit as the hub's client sends it, and return its id."""
        files = dict(self.files(name)[1])
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "deletedFile":
                files.pop(line["value"]["path"], None)
        content = repr(sorted(files.items())).encode() + str(len(self.repositories[name])).encode()
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.repositories[name].append((sha, files))
        return sha


class _Handler(BaseHTTPRequestHandler):
    """Answers as the hub does, from `hub`."""

    hub: Hub

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.hub.repositories.setdefault(name, [])
            return self._json({"url": f"{self.hub.address}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/models/(.+)/preupload/main", self.path):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if found := re.fullmatch(r"/api/models/(.+)/commit/main", self.path):
            lines = [json.loads(line) for line in body.splitlines() if line]
            sha = self.hub.commit(found[1], lines)
            url = f"{self.hub.address}/{found[1]}/commit/{sha}"
            return self._json({"success": True, "commitOid": sha, "commitUrl": url})
        return self._answer(404)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if found := re.fullmatch(r"/api/models/(.+)/tree/([^/]+)", path):
                _, files = self.hub.files(found[1], found[2])
                return self._json(
                    [
                        {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                        for name, data in files.items()
                    ]
                )
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                sha, files = self.hub.files(found[1], found[2] or "main")
                names = [{"rfilename": name} for name in files]
                return self._json({"id": found[1], "sha": sha, "siblings": names})
            if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                sha, files = self.hub.files(found[1], found[2])
                data = files[found[3]]
                tag = hashlib.sha256(data).hexdigest()
                return self._answer(200, data, ETag=f'"{tag}"', X_Repo_Commit=sha)
        except (KeyError, StopIteration):
            kind = "EntryNotFound" if "/resolve/" in path else "RepoNotFound"
            return self._answer(404, X_Error_Code=kind)
        return self._answer(404)

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that huggingface_hub asks instead of the real one, with an empty cache."""
    import huggingface_hub.constants as constants

    mine = Hub()
    handler = type("Handler", (_Handler,), {"hub": mine})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    mine.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cache = tmp_path_factory.mktemp("hub-cache")
    monkeypatch.setattr(constants, "ENDPOINT", mine.address)
    template = mine.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    try:
        yield mine
    finally:
        server.shutdown()
        server.server_close()
