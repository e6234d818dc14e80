"""Results of tests in the Test Anything Protocol, versions 12 to 14."""

import re
from dataclasses import replace

from ciserver.model.report import MOST_MESSAGE, CaseResult, CaseStatus, Report
from ciserver.reports.results import FULL, Results, lines

_TEST = re.compile(r"(not )?ok\b *(?:\d{1,9}\b)? *(?:- )?(.*)")
_DIRECTIVE = re.compile(r"(?<!\\)# *(skip|todo)\w*\b *(.*)", re.IGNORECASE)
_PLAN = re.compile(r"1\.\.(\d{1,9})\b")
_MOST_NAME = 500
_BAIL_OUT = "Bail out!"


def read_tap(content: bytes, path: str) -> Report:
    """The tests at the top level; those of a subtest are told by the test that they belong to.
    What is no TAP is passed over, as a harness does.
    """
    results = Results()
    plan: int | None = None
    last: CaseResult | None = None
    for text in lines(content):
        if test := _TEST.fullmatch(text):
            _add(results, last)
            if results.is_full:
                return results.report(FULL)
            last = _result(path, is_ok=not test[1], description=test[2])
        elif found := _PLAN.match(text):
            plan = int(found[1])
        elif text.startswith(_BAIL_OUT):
            _add(results, last)
            why = text.removeprefix(_BAIL_OUT).strip()
            last = CaseResult(path, _BAIL_OUT, CaseStatus.ERRORED, 0.0, why)
            break
        elif last and text.startswith(("  ", "#")):
            last = _with_more(last, text)
    _add(results, last)
    if plan is None and not len(results):
        return results.report("there are no test results of TAP in it")
    if plan is not None and plan != len(results):
        return results.report(f"it planned {plan} tests and tells of {len(results)}")
    return results.report()


def _add(results: Results, result: CaseResult | None) -> None:
    if result:
        results.add(replace(result, message=result.message.strip("\n")[:MOST_MESSAGE]))


def _result(suite: str, *, is_ok: bool, description: str) -> CaseResult:
    """A test that is still to be mended, or was left out, is skipped whatever it says."""
    status = CaseStatus.PASSED if is_ok else CaseStatus.FAILED
    name, message = description, ""
    if directive := _DIRECTIVE.search(description):
        name, message = description[: directive.start()], directive[2]
        is_todo = directive[1].lower() == "todo"
        status = CaseStatus.PASSED if is_todo and is_ok else CaseStatus.SKIPPED
    return CaseResult(suite, name.strip()[:_MOST_NAME], status, 0.0, message.strip())


def _with_more(result: CaseResult, line: str) -> CaseResult:
    """What stands beneath a failed test says why."""
    if result.status is not CaseStatus.FAILED or len(result.message) >= MOST_MESSAGE:
        return result
    text = line.removeprefix("#").removeprefix("  ").rstrip()
    if text in {"---", "..."}:
        return result
    return replace(result, message=f"{result.message}\n{text}")
