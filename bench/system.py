"""What a measurement asks of a system, whichever it is."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.processes import Lacking, run
from bench.wire import Connection, HttpSender, Sender

if TYPE_CHECKING:
    import subprocess

BRANCH = "main"
# The clock is the first thing that a build reads; TREE is where the pushed files are.
CLOCK = "echo at=$EPOCHREALTIME"
CLOCK_AND_FILE = f"{CLOCK}\ncat TREEnonce"


@dataclass(frozen=True)
class Setup:
    """How a system is to be run."""

    script: str = "true"  # what each build does, for bash
    slots: int = 2
    is_sandboxed: bool = False
    checks_out: bool = False
    masks: bool = False
    history: int = 0  # builds that have ended already
    workers: int = 0  # programs of their own that build, and not the server
    database: str = ""  # the address of an empty one of PostgreSQL; else what is usual
    broker: str = ""  # the address of a message broker that tells workers


class Repository:
    """A bare repository, and a tree to push from."""

    def __init__(self, place: Path, files: dict[str, str]) -> None:
        self.bare, self._tree = place / "pushed.git", place / "tree"
        self.last = "0" * 40
        run("git", "init", "-q", "--bare", "-b", BRANCH, str(self.bare))
        run("git", "init", "-q", "-b", BRANCH, str(self._tree))
        for name, text in files.items():
            (self._tree / name).write_text(text)

    def push(self, nonce: str) -> tuple[str, str]:
        """A new commit, with the nonce in a file; answers the revisions before and after."""
        (self._tree / "nonce").write_text(f"{nonce}\n")
        who = ("-c", "user.name=Bench", "-c", "user.email=bench@example.org")
        git = ("git", *who, "-C", str(self._tree))
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "-m", nonce)
        run(*git, "push", "-q", str(self.bare), BRANCH)
        before, self.last = self.last, run(*git, "rev-parse", "HEAD").strip()
        return before, self.last


class Running(ABC):
    """A system that runs. Builds are numbered from one, in the order they were asked for."""

    process: "subprocess.Popen[bytes]"
    port: int
    database: Path | str  # a file of SQLite, or the address of one of PostgreSQL
    ended_sql: str  # how many builds have ended, and how many of these were good
    pushes_sql: str  # how many pushes are stored
    _reader: Any = None

    def ended(self) -> tuple[int, int]:
        count, good = self._look(self.ended_sql)
        return count, good or 0

    def pushes(self) -> int:
        return int(self._look(self.pushes_sql)[0])

    def _look(self, statement: str) -> Any:
        """Read in the system's own database, from outside: what is there is stored. It is opened
        once: who opens a file reads its schema, and PostgreSQL starts a process for each that asks.
        """
        self._reader = self._reader or self._open()
        (row,) = self._reader.execute(statement).fetchall()
        return row

    def _open(self) -> Any:
        if isinstance(self.database, str):
            return psycopg.connect(self.database, autocommit=True)
        return sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)

    def close(self) -> None:
        """Look no more."""
        if self._reader is not None:
            self._reader.close()

    def http(self) -> Connection:
        return Connection(self.port)

    @abstractmethod
    def push(self, number: int, before: str, after: str) -> Any:
        """A signed push, ready to be sent by `sender`; its number makes it another one."""

    @abstractmethod
    def sender(self) -> Sender: ...

    @abstractmethod
    def hold(self) -> None:
        """Begin no more builds."""

    @abstractmethod
    def queue(self, count: int) -> None:
        """So many builds more, once one has run."""

    @abstractmethod
    def release(self) -> None: ...

    @abstractmethod
    def log(self, build: int) -> bytes:
        """What the build has written as far as it can be read; empty before."""

    @abstractmethod
    def follow(self, build: int) -> Iterator[bytes]:
        """Each piece of the log as soon as a reader has it, to its end."""

    @abstractmethod
    def log_end(self, build: int, size: int, lines: int) -> bytes | None:
        """What lies past that size and about so many lines; None while the log is not whole."""

    def build_request(self, number: int) -> bytes:
        """Asks for one of the builds of the history, as JSON."""
        raise Lacking

    def list_request(self) -> bytes:
        """Asks for the newest 100 builds, as JSON."""
        raise Lacking

    def reader(self) -> Sender:
        """Sends these two."""
        return HttpSender(self.port, 200)

    def build(self, number: int) -> Any:
        """What is answered for one of the builds of the history."""
        with self.http() as http:
            return http.send(self.build_request(number)).json()


class System(ABC):
    name: str
    has_sandbox = False
    has_lists = True  # of 100 builds, as JSON
    has_workers = False  # that are programs of their own, with PostgreSQL
    pace = 1.0  # what it is asked for in the time that others do one

    @abstractmethod
    def running(
        self, place: Path, setup: Setup, repository: Repository
    ) -> AbstractContextManager[Running]:
        """Start it over a fresh directory, with the repository watched."""

    @abstractmethod
    def until_answer(self, place: Path) -> AbstractContextManager["tuple[list[int], float]"]:
        """Start it as its users do, as often before; answers its processes, but for those that they
        started, and the seconds until its API answered.
        """

    def size_mb(self) -> float:
        """What it takes on disk, Python aside."""
        raise Lacking


def installed_mb(home: Path, *names: str) -> float:
    """The files of packages of a virtual environment, and of all that they require, no extras."""
    places = [str(place) for place in home.glob("lib/python3*/site-packages")]
    known = {str(canonicalize_name(one.name)): one for one in distributions(path=places)}
    needed = _closure([*map(canonicalize_name, names)], known)
    files = {path for one in needed for path in _files(known[one])}
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def _closure(names: Sequence[str], known: Mapping[str, Distribution]) -> set[str]:
    found: set[str] = set()
    waiting = [*names]
    while waiting:
        one = waiting.pop()
        if one in found or one not in known:
            continue
        found.add(one)
        wanted = map(Requirement, known[one].requires or ())
        waiting += [
            canonicalize_name(each.name)
            for each in wanted
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    return found


def _files(one: Distribution) -> Iterator[Path]:
    for path in one.files or ():
        yield Path(str(one.locate_file(path))).resolve()


def add_rows(
    database: sqlite3.Connection, table: str, count: int, usual: dict[str, str], **columns: str
) -> None:
    """So many rows by one statement, in which `i` counts from one. What may be null and is not
    named is; what may not be has its usual value, else nothing or zero.
    """
    about = database.execute(f"PRAGMA table_info({table})").fetchall()
    values = {
        name: columns.get(name) or usual.get(name) or ("0" if "INT" in kind.upper() else "''")
        for _, name, kind, must_be, default, is_key in about
        if name in columns or (must_be and not is_key and default is None)
    }
    database.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"  # noqa: S608  names and numbers of this folder
        f" INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM n"
    )
