"""Numbers as Prometheus reads them: the text format, version 0.0.4."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from ciserver.model.overview import DURATIONS, Histogram

TEXT = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
Labels: TypeAlias = Mapping[str, str]


class Sample(NamedTuple):
    value: float
    labels: Labels = MappingProxyType({})
    suffix: str = ""  # after the name of the family


class Family(NamedTuple):
    """Numbers of one meaning; `kind` is gauge, counter or histogram."""

    name: str
    kind: str
    meaning: str
    samples: Iterable[Sample]


def exposition(families: Iterable[Family]) -> str:
    """The text of them all."""
    return "".join(line + "\n" for one in families for line in _lines(one))


def of_histogram(histogram: Histogram, labels: Labels) -> Iterator[Sample]:
    """The samples of one histogram over durations, in seconds."""
    for end, count in zip(DURATIONS, histogram.below, strict=True):
        yield Sample(count, {**labels, "le": str(end)}, "_bucket")
    yield Sample(histogram.count, {**labels, "le": "+Inf"}, "_bucket")
    yield Sample(histogram.seconds, labels, "_sum")
    yield Sample(histogram.count, labels, "_count")


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.meaning}"
    yield f"# TYPE {family.name} {family.kind}"
    for one in family.samples:
        told = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in one.labels.items())
        labels = f"{{{told}}}" if told else ""
        yield f"{family.name}{one.suffix}{labels} {_number(one.value)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(value, 6))
