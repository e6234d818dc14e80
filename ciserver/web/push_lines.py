"""What whoever pushed reads in their terminal, line by line."""

from collections.abc import Iterator, Sequence

from ciserver.model.links import Links
from ciserver.model.push import PushOutcome
from ciserver.model.status import EvaluationStatus
from ciserver.model.view import PushedEvaluation

_MOST = 5  # faults, or jobs that are left out, of one evaluation


def push_lines(
    outcome: PushOutcome, told: Sequence[PushedEvaluation], links: Links
) -> Iterator[str]:
    """`told` are the evaluations of which more is known than that they were requested."""
    known = {one.evaluation.id for one in told if one.evaluation.status.is_final}
    started = [line for one in told for line in _builds(one, links)]
    if started:
        yield "Build(s) started:"
        yield from started
    open_ones = [one for one in outcome.evaluations if one.id not in known]
    if open_ones:
        yield "Evaluation(s) requested:"
        for one in open_ones[:_MOST]:
            yield f"{links.evaluation(one.id)} [{one.jobset} {one.ref}]"
        yield from _more(len(open_ones) - _MOST)
    for each in told:
        if each.evaluation.status.is_final:
            yield from _left_out(each)
            yield f"see {links.evaluation(each.evaluation.id)}"
    said = "\n".join([outcome.ignored, *(one.evaluation.note for one in told)])
    yield from (f"note: {note}" for note in outcome.notes if note not in said)


def debug_lines(outcome: PushOutcome, delivery_id: str, links: Links) -> Iterator[str]:
    """Under which numbers the push is known, for who asks with the option `debug`."""
    yield f"push {outcome.id}, delivery {delivery_id}"
    for one in outcome.evaluations:
        yield f"evaluation {one.id} of {one.jobset} at {one.ref}: {links.evaluation(one.id)}"


def _builds(one: PushedEvaluation, links: Links) -> Iterator[str]:
    for build_id, job in one.builds:
        yield f"{links.build(build_id)} [{job}]"
    if one.builds:
        yield from _more(one.evaluation.builds_total - len(one.builds))


def _left_out(one: PushedEvaluation) -> Iterator[str]:
    evaluation = one.evaluation
    if evaluation.status is EvaluationStatus.SUCCEEDED and not one.builds:
        yield "not built: nothing changed since it was built"
    if evaluation.note:
        is_skipped = evaluation.status is EvaluationStatus.SKIPPED
        yield f"not built: {evaluation.note}" if is_skipped else f"note: {evaluation.note}"
    for skipped in evaluation.skipped[:_MOST]:
        yield f"not built: {skipped.job}: {skipped.reason}"
    yield from _more(len(evaluation.skipped) - _MOST)
    if evaluation.complaints:
        yield "faults in the recipe:"
    yield from map(str, evaluation.complaints[:_MOST])
    yield from _more(len(evaluation.complaints) - _MOST)


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"and {count} more"
