"""Lists of evaluations, page by page, and of the latest builds."""

import pytest
from support.factories import make_job

from ciserver.model.status import BuildStatus


@pytest.fixture
def trunk(make):
    return make.jobset("nix", "trunk")


EVALS = "/jobset/nix/trunk/evals"


def ids(answer):
    return [one["id"] for one in answer["evals"]]


def test_pages_of_twenty(make, trunk, anybody):
    """The newest first; what follows and what came before are links."""
    made = [make.evaluated(trunk, make_job()).id for _ in range(41)][::-1]
    first = anybody.get(EVALS)
    assert ids(first) == made[:20]
    ends = {"first": "?page=1", "last": "?page=3"}
    assert first.items() >= {**ends, "next": "?page=2"}.items()
    assert "previous" not in first
    second = anybody.get(f"{EVALS}{first['next']}")
    assert ids(second) == made[20:40]
    assert second.items() >= {**ends, "next": "?page=3", "previous": "?page=1"}.items()
    last = anybody.get(f"{EVALS}{second['last']}")
    assert ids(last) == made[40:]
    assert last.keys() == {"evals", "first", "last", "previous"}
    assert ids(anybody.get(f"{EVALS}?page=2147483647")) == []


def test_an_empty_list(trunk, anybody):
    """As Hydra has it."""
    assert anybody.get(EVALS) == {"evals": [], "first": "?page=1", "last": "?page=0"}


def test_only_what_made_builds_is_listed_unless_all_is_wanted(make, trunk, anybody):
    """The links of the whole list lead on in it."""
    quiet = [make.evaluated(trunk).id for _ in range(20)]
    built = make.evaluated(trunk, make_job()).id
    assert ids(anybody.get(EVALS)) == ids(anybody.get(f"{EVALS}?all=0")) == [built]
    everything = anybody.get(f"{EVALS}?all=1")
    assert ids(everything) == [built, *quiet[:0:-1]]
    assert [one["hasnewbuilds"] for one in everything["evals"]] == [1, *[0] * 19]
    assert (everything["next"], everything["last"]) == ("?page=2&all=1", "?page=2&all=1")
    assert ids(anybody.get(f"{EVALS}{everything['next']}")) == quiet[:1]


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", str(2**31), "9" * 30])
def test_there_is_no_such_page(trunk, anybody, page):
    status, message = anybody.refusal("GET", f"{EVALS}?page={page}")
    assert (status, message[:9]) == (400, "page: mus")


def test_how_long_an_evaluation_took(farm, anybody):
    """Fetching, then evaluating; nothing of one that waits."""
    jobset = farm.build_ng()
    found, _ = farm.evaluated(jobset)
    shown = anybody.get(f"/eval/{found}")
    assert (shown["checkouttime"], shown["evaltime"], shown["hasnewbuilds"]) == (302, 30, 0)
    waiting = anybody.get(f"/eval/{farm.factory.evaluation(jobset).id}")
    assert (waiting["checkouttime"], waiting["evaltime"], waiting["builds"]) == (None, None, [])
    assert waiting["jobsetevalinputs"] == {}


def test_people_see_evaluations_on_the_page_of_the_jobset(trunk, anybody):
    """The address is Hydra's alone."""
    answer = anybody.ask("GET", EVALS, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/jobset/nix/trunk")


def test_the_latest_builds(make, trunk, anybody, clock):
    """What ended last comes first; filtered by what is named."""
    other = make.jobset("other")
    made = []
    for jobset, name, system in (
        (trunk, "a", "x86_64-linux"),
        (trunk, "b", "aarch64-linux"),
        (other, "a", "x86_64-linux"),
    ):
        clock.forward(seconds=1)
        build = make.build(BuildStatus.SUCCEEDED, jobset=jobset, name=name, system=system)
        made.insert(0, build.id)
    make.build(jobset=trunk)

    def latest(query):
        return [one["id"] for one in anybody.get(f"/api/latestbuilds?{query}")]

    assert latest("nr=10") == made
    assert latest("nr=2") == made[:2]
    assert latest("nr=0") == []
    assert latest(f"nr={2**63 - 1}") == made
    assert latest("nr=10&project=nix") == made[1:]
    assert latest("nr=10&project=nix&jobset=trunk&job=a") == made[2:]
    assert latest("nr=10&jobset=main") == made[:1]
    assert latest("nr=10&system=aarch64-linux") == made[1:2]
    assert latest("nr=10&project=none") == []
    (one,) = anybody.get("/api/latestbuilds?nr=1")
    keys = ("id", "project", "jobset", "job", "system", "nixname", "finished", "buildstatus")
    assert one.keys() == {*keys, "timestamp"}
    assert [one[key] for key in keys[1:]] == [*("other", "main", "a", "x86_64-linux", "a", 1, 0)]


@pytest.mark.parametrize(
    ("query", "message"),
    [("", "how many builds"), ("nr=", "how many"), ("nr=x", "number"), ("nr=-1", "number")],
)
def test_the_number_of_latest_builds_must_be_said(anybody, query, message):
    status, said = anybody.refusal("GET", f"/api/latestbuilds?{query}")
    assert (status, message in said) == (400, True)
