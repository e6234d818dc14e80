"""Numbers that a build measured: a line each, `name value [unit]`."""

import math
import re

from ciserver.model.report import Metric, Report
from ciserver.reports.results import lines

_LINE = re.compile(r"([A-Za-z0-9_./:+-]{1,100})\s+(\S{1,50})(?:\s+(\S{1,20}))?")
_MOST_METRICS = 1000
_MOST_NOTES = 10


def read_metrics(content: bytes) -> Report:
    """The metrics of a file; a name that comes twice has its last value."""
    metrics: dict[str, Metric] = {}
    notes: list[str] = []
    for number, line in enumerate(lines(content), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        metric = _metric(text)
        if metric is None:
            if len(notes) == _MOST_NOTES:
                break
            notes.append(f"line {number} is not `name value [unit]`")
        elif metric.name in metrics or len(metrics) < _MOST_METRICS:
            metrics[metric.name] = metric
        else:
            notes.append(f"only {_MOST_METRICS} metrics are kept")
            break
    return Report(metrics=tuple(metrics.values()), notes=tuple(notes))


def _metric(text: str) -> Metric | None:
    found = _LINE.fullmatch(text)
    if found is None:
        return None
    try:
        value = float(found[2])
    except ValueError:
        return None
    return Metric(found[1], value, found[3] or "") if math.isfinite(value) else None
