"""The floor: what falcon, waitress and SQLite can do when they are asked for nothing else. It takes
signed pushes, keeps them, runs one command for each and shows its output. There are no users, no
evaluation, no sandbox, no triggers.

python bench/floor_server.py DIRECTORY PORT SLOTS SECRET SCRIPT [BARE_REPOSITORY]
"""

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import falcon
import waitress

PLACE, PORT, SLOTS, SECRET, SCRIPT = Path(sys.argv[1]), *sys.argv[2:6]
BARE = sys.argv[6] if len(sys.argv) > 6 else ""


class Store:
    """One connection, one writer, a commit for every change."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect(PLACE / "floor.db", check_same_thread=False)
        self._lock = threading.Lock()
        self.write("PRAGMA journal_mode = WAL")
        self.write("PRAGMA synchronous = FULL")
        self.write(
            "CREATE TABLE builds (id INTEGER PRIMARY KEY, revision TEXT, status TEXT,"
            " pushed INT, exit INT)"
        )
        self.write("CREATE INDEX queue ON builds (id) WHERE status = 'queued'")

    def write(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with self._lock, self._rows:
            return self._rows.execute(statement, values).fetchall()

    def claim(self) -> tuple[int, str] | None:
        found = self.write(
            "UPDATE builds SET status = 'running' WHERE id = (SELECT id FROM builds"
            " WHERE status = 'queued' ORDER BY id LIMIT 1) RETURNING id, revision"
        )
        return found[0] if found else None  # type: ignore[return-value]


class Floor:
    """All routes."""

    def __init__(self) -> None:
        self.store, self.is_held = Store(), False
        self.bell = threading.Condition()
        for _ in range(int(SLOTS)):
            threading.Thread(target=self.work, daemon=True).start()

    def on_post_push(self, req: falcon.Request, resp: falcon.Response) -> None:
        body = req.bounded_stream.read()
        proof = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(f"sha256={proof}", req.get_header("X-Hub-Signature-256") or ""):
            raise falcon.HTTPForbidden
        self.add(json.loads(body)["after"], pushed=1)
        resp.status = falcon.HTTP_202

    def on_post_queue(self, req: falcon.Request, resp: falcon.Response) -> None:
        for _ in range(req.get_param_as_int("count", default=1)):
            self.add("", pushed=0)

    def on_post_held(self, req: falcon.Request, resp: falcon.Response, word: str) -> None:
        self.is_held = word == "yes"
        self.ring()

    def on_get_build(self, req: falcon.Request, resp: falcon.Response, build: int) -> None:
        resp.media = self.store.write("SELECT * FROM builds WHERE id = ?", build)

    def on_get_list(self, req: falcon.Request, resp: falcon.Response) -> None:
        resp.media = self.store.write("SELECT * FROM builds ORDER BY id DESC LIMIT 100")

    def on_get_log(self, req: falcon.Request, resp: falcon.Response, build: int) -> None:
        path = PLACE / f"{build}.log"
        if not path.exists():
            raise falcon.HTTPNotFound
        status = self.store.write("SELECT status FROM builds WHERE id = ?", build)[0][0]
        resp.set_header("X-Complete", "true" if status == "ended" else "false")
        with path.open("rb") as log:
            log.seek(req.get_param_as_int("offset", default=0))
            resp.data = log.read()

    def add(self, revision: str, *, pushed: int) -> None:
        self.store.write("INSERT INTO builds VALUES (NULL, ?, 'queued', ?, NULL)", revision, pushed)
        self.ring()

    def ring(self) -> None:
        with self.bell:
            self.bell.notify_all()

    def work(self) -> None:
        while True:
            claimed = None if self.is_held else self.store.claim()
            if claimed:
                self.run(*claimed)
            else:
                with self.bell:
                    self.bell.wait(0.05)

    def run(self, build: int, revision: str) -> None:
        tree = PLACE / f"tree-{build}"
        tree.mkdir()
        if BARE and revision:
            index = {**os.environ, "GIT_INDEX_FILE": str(tree / ".index")}
            git = ["git", f"--git-dir={BARE}", f"--work-tree={tree}"]
            subprocess.run([*git, "read-tree", "-u", "--reset", revision], check=True, env=index)
        with (PLACE / f"{build}.log").open("wb") as log:
            done = subprocess.run(
                ["bash", "-c", SCRIPT], check=False, stdout=log, stderr=log, cwd=tree
            )
        shutil.rmtree(tree)
        self.store.write(
            "UPDATE builds SET status = 'ended', exit = ? WHERE id = ?", done.returncode, build
        )


def application() -> Any:
    floor, app = Floor(), falcon.App()
    app.add_route("/push", floor, suffix="push")
    app.add_route("/queue", floor, suffix="queue")
    app.add_route("/held/{word}", floor, suffix="held")
    app.add_route("/builds", floor, suffix="list")
    app.add_route("/builds/{build:int}", floor, suffix="build")
    app.add_route("/builds/{build:int}/log", floor, suffix="log")
    return app


if __name__ == "__main__":
    waitress.serve(application(), listen=f"127.0.0.1:{PORT}", threads=64)
