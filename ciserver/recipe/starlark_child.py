"""The program that evaluates one Starlark recipe, alone in a process that may do nothing else.

Standard input is the request, one JSON object. Standard output is one JSON list a line:
`["job", PLACE, MANIFEST]`, `["fault", FIELD, MESSAGE]`, `["memory"]` when there was too little, and
`["end"]` when it came to its end.
"""

import json
import os
import re
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ciserver.recipe.confine import confine

with suppress(ImportError):  # its absence is an answer
    import starlark as s

_NO_EXTRA = "needs Starlark, which is not installed here: pip install 'ciserver[starlark]'"
_NO_JOBS = "must define a function jobs(inputs)"
_DEEPEST_CALL = 200
_ERROR = re.compile(r"^error: (.*?)(?:\n +--> (.+?):(\d+):(\d+)\n|\Z)", re.DOTALL | re.MULTILINE)
_LONGEST = 500

Emit = Callable[[str], None]


def evaluate(request: dict[str, Any], driver_text: str, emit: Emit) -> None:
    """Emits answers as text. Raises StarlarkError for what is wrong with the recipe as a whole."""
    dialect = s.Dialect.standard()
    dialect.enable_f_strings = True
    dialect.enable_top_level_stmt = True
    dialect.enable_load = False
    extensions = [s.LibraryExtension.Json, s.LibraryExtension.Print]
    recipe = s.Module()
    known = s.Globals.extended_by(extensions)
    s.eval(recipe, s.parse(request["file"], request["text"], dialect), known)
    frozen = recipe.freeze()

    driver = s.Module()
    driver["LIMITS"] = request["limits"]
    driver.add_callable("emit", emit)
    known = s.Globals.extended_by([s.LibraryExtension.Json, s.LibraryExtension.StructType])
    loader = s.FileLoader(lambda _: frozen)
    s.eval(driver, s.parse("driver", driver_text), known, loader)
    options = s.EvalOptions(max_callstack_size=_DEEPEST_CALL)
    driver.freeze().call_with(options, "main", request["inputs"])


def explain(error: BaseException, file: str) -> tuple[str, ...]:
    """What Starlark says, in one line that begins with the place in the recipe."""
    said = str(error)
    if isinstance(error, MemoryError) or "out of memory" in said:
        return ("memory",)
    found = _ERROR.search(said)
    message = " ".join((found[1] if found else said).split())[:_LONGEST]
    if found and found[2] == file:
        message = f"line {found[3]}, column {found[4]}: {message}"
    elif message.startswith("Module has no symbol"):
        message = _NO_JOBS
    return ("fault", "", message)


def main() -> None:
    request = json.load(sys.stdin)
    driver = Path(__file__).with_name("driver.star").read_text(encoding="utf-8")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", buffering=1 << 16)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what the recipe prints

    def emit(answer: str) -> None:
        answers.write(answer + "\n")

    try:
        if "starlark" not in sys.modules:
            emit(json.dumps(["fault", "", _NO_EXTRA]))
        else:
            confine(request["memory_bytes"], request["seconds"])
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
            evaluate(request, driver, emit)
    except BaseException as error:  # noqa: BLE001  also panics of the interpreter
        emit(json.dumps(explain(error, request["file"])))
    emit(json.dumps(["end"]))
    answers.flush()
    os._exit(0)  # what is taken apart would take time and may fail without memory


if __name__ == "__main__":
    main()
