"""Jobs are kept as text and come back exactly."""

import json
from dataclasses import asdict, fields

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ciserver.model.build import (
    Cache,
    Concurrency,
    Job,
    Policy,
    Reports,
    Resources,
    Source,
    Task,
    TriggerSpec,
)
from ciserver.model.errors import Invalid
from ciserver.model.evaluation import Kind
from ciserver.recipe.text import job_from_json, job_to_json

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(max_size=10)
lines = st.lists(texts, max_size=3).map(tuple)
plain = st.none() | st.booleans() | st.integers() | texts
options = st.dictionaries(texts, plain | st.lists(texts, max_size=2), max_size=3)
jobs = st.builds(
    Job,
    name=texts,
    file=texts,
    image=texts,
    system=texts,
    tasks=st.lists(st.builds(Task, texts, texts), max_size=3).map(tuple),
    sources=st.lists(st.builds(Source, texts, texts, texts, texts, st.booleans()), max_size=3).map(
        tuple
    ),
    environment=st.dictionaries(texts, texts | lines, max_size=3),
    packages=lines,
    repositories=st.dictionaries(texts, texts, max_size=2),
    artifacts=lines,
    triggers=st.lists(st.builds(TriggerSpec, texts, texts, options), max_size=2).map(tuple),
    timeout_seconds=st.integers(),
    silence_seconds=st.integers(),
    priority=st.integers(),
    network=st.booleans(),
    kinds=st.lists(st.sampled_from(Kind), max_size=3).map(tuple),
    refs=lines,
    by_push=st.booleans(),
    push_refs=lines,
    notes=lines,
    base=texts,
    needs=lines,
    changed_paths=lines,
    paths=lines,
    retries=st.none() | st.integers(),
    retry_on_failure=st.integers(),
    concurrency=st.none() | st.builds(Concurrency, texts, st.sampled_from(Policy)),
    resources=st.builds(Resources, st.integers(), st.integers(), st.integers()),
    cache=st.lists(st.builds(Cache, texts, lines), max_size=2).map(tuple),
    reports=st.builds(Reports, lines, lines, lines),
    maintainers=lines,
    always=st.booleans(),
)


@patient
@given(jobs)
def test_a_job_comes_back_exactly(job):
    """Reading what was written gives the same job, down to the types of its values."""
    back = job_from_json(job_to_json(job))
    assert back == job
    for one in fields(Job):
        assert type(getattr(back, one.name)) is type(getattr(job, one.name))
    assert all(type(kind) is Kind for kind in back.kinds)
    assert job.concurrency is None or type(back.concurrency.policy) is Policy


@patient
@given(jobs)
def test_equal_jobs_have_the_same_text(job):
    """The order in which a map was filled does not show."""
    backwards = dict(reversed(job.environment.items()))
    turned = Job(
        **{one.name: getattr(job, one.name) for one in fields(Job)} | {"environment": backwards}
    )
    assert job_to_json(turned) == job_to_json(job)
    json.loads(job_to_json(job))


@patient
@given(jobs)
def test_the_text_has_every_field_of_a_job_and_of_what_is_in_it(job):
    """Whatever is added to a job, or to a task or source of one, is kept."""
    assert json.loads(job_to_json(job)) == json.loads(json.dumps(asdict(job)))


def test_a_text_of_an_older_version_gets_the_defaults():
    """Fields that came later may be missing."""
    text = '{"file":"f","image":"i","name":"n","system":"s","tasks":[]}'
    assert job_from_json(text) == Job("n", "f", "i", "s", ())


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", "null", '{"name": "n", "later": 1}', '{"kinds": ["x"]}'),
        *('{"concurrency": {}}', '{"cache": [{"key": "x"}]}', '{"resources": {"cpu": 1}}'),
    ],
)
def test_another_text_is_refused(text):
    """A damaged or newer text is told from a job."""
    with pytest.raises(Invalid, match="not a stored job"):
        job_from_json(text)
