"""Real repositories, made and pushed to by the git program."""

import os
import subprocess
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada Author",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada Author",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(directory: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **IDENTITY, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Repository:
    """A bare repository and a work tree that pushes to it."""

    def __init__(self, place: Path, name: str = "project") -> None:
        place.mkdir(parents=True, exist_ok=True)
        self.bare, self.tree = place / f"{name}.git", place / f"{name}-tree"
        git(place, "init", "-q", "--bare", "-b", "main", self.bare.name)
        git(place, "init", "-q", "-b", "main", self.tree.name)
        git(self.tree, "remote", "add", "origin", str(self.bare))

    def commit(self, files: dict[str, str], message: str = "a commit") -> str:
        """Write the files and commit them; answers the revision."""
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.tree, "rev-parse", "HEAD")

    def push(self, *arguments: str) -> str:
        """Push; answers what git and the hook said."""
        done = subprocess.run(
            ["git", "-C", str(self.tree), "push", "origin", *(arguments or ("main",))],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **IDENTITY},
        )
        assert done.returncode == 0, done.stderr
        return done.stderr
