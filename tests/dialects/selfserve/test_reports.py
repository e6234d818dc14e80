"""What waits and runs, how long it takes, and the files of what has ended."""

import gzip
import io
import json
from datetime import timedelta

import pytest
from support.factories import done, make_job

from ciserver.dialects.selfserve.dump import Dump
from ciserver.model.account import Visibility
from ciserver.model.build import BuildResult, Offer
from ciserver.model.links import Links
from ciserver.model.status import BuildStatus
from ciserver.service.dumps import Ended

NOW = 1772366400  # when the clock of the tests stands still
HTML = {"Accept": "text/html"}
RECENT = "/builddata/buildjson/builds-4hr.js.gz"


@pytest.fixture
def get(stranger):
    """A GET outside of the calls, by nobody."""

    def ask(path, **headers):
        path, _, query = path.partition("?")
        return stranger.client.simulate_get(path, query_string=query, headers=headers)

    return ask


def offer_of(build):
    """That of a worker that has what this build needs, and nothing else."""
    return Offer("local-0", (build.system,), (build.image,))


# -- the queue ------------------------------------------------------------------------------------


def test_pending(get, factory, main):
    """By branch and revision; those of one branch alone at its own address."""
    build = factory.build(jobset=main, name="linux64")
    other = factory.build(jobset=factory.jobset())
    factory.build(BuildStatus.RUNNING, jobset=main)
    item = {"id": build.id, "buildername": "linux64", "submitted_at": NOW}
    theirs = {"id": other.id, "buildername": "build", "submitted_at": NOW}
    mine = {"main": {build.revision: [item]}}
    everything = {**mine, f"{other.project}:main": {other.revision: [theirs]}}
    assert get("/pending?format=json").json == {"pending": everything}
    assert get("/pending/main?format=json").json == {"pending": mine}
    assert get("/pending/project-1:main?format=json").json == {"pending": mine}


def test_running(get, factory, main, clock):
    """With who runs it, and when that was last heard of."""
    build = factory.build(BuildStatus.RUNNING, jobset=main, name="linux64")
    factory.build(jobset=main)
    factory.build(BuildStatus.RUNNING, jobset=factory.jobset())
    item = {
        "id": build.id,
        "buildername": "linux64",
        "number": 1,
        "start_time": NOW,
        "submitted_at": NOW,
        "last_heartbeat": NOW,
        "claimed_by_name": "local-0",
        "request_ids": [build.id],
        "revision": build.revision,
    }
    assert get("/running/main?format=json").json == {"running": {"main": {build.revision: [item]}}}
    assert len(get("/running?format=json").json["running"]) == 2
    clock.forward(seconds=20)
    factory.reporter.renew(factory.leases[build.id])
    (heard,) = get("/running/main?format=json").json["running"]["main"][build.revision]
    assert (heard["start_time"], heard["last_heartbeat"]) == (NOW, NOW + 20)


def test_an_empty_queue(get, main):
    """Nothing beneath either name."""
    for path in ("/pending", "/pending/main"):
        assert get(f"{path}?format=json").json == {"pending": {}}
    assert get("/running?format=json").json == {"running": {}}


def test_reports_are_pages_unless_the_format_says_otherwise(get, factory, main):
    """Accept does not count; unknown formats and branches are refused."""
    factory.build(jobset=main)
    paths = ("/pending", "/running/main", "/reports/waittimes/main", "/reports/endtoend/main")
    for path in paths:
        page = get(path, Accept="application/json")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        refused = get(f"{path}?format=xml", Accept="application/json")
        assert (refused.status_code, refused.json["status"]) == (400, "FAILED")
    for path in ("/pending/x", "/running/x", "/reports/waittimes/x", "/reports/endtoend/x"):
        refused = get(path, Accept="application/json")
        missing = {"status": "FAILED", "msg": "Branch x not found"}
        assert (refused.status_code, refused.json) == (404, missing)


def test_what_is_private_is_in_no_report(get, ada, factory, main, set_visibility):
    """It is there for those who see it."""
    factory.build(jobset=main)
    set_visibility(main.project)
    assert get("/pending?format=json").json == {"pending": {}}
    assert get("/pending/main?format=json").status_code == 404
    seen = ada.client.simulate_get("/pending", query_string="format=json", headers=ada.headers)
    assert set(seen.json["pending"]) == {"main"}


# -- how long it takes ----------------------------------------------------------------------------


def test_wait_times(get, factory, main, clock):
    """By system, in blocks of a quarter of an hour; the last one has whatever waited longer."""
    waited = [make_job(name=f"job-{n}", image=f"image-{n}") for n in range(4)]
    made = [factory.build(jobset=main, name=one.name, image=one.image) for one in waited]
    for build, minutes in zip(made, (0, 16, 2, 600), strict=True):
        clock.forward(minutes=minutes)
        factory.claim(offer_of(build))
    still = factory.build(jobset=main)
    found = get("/reports/waittimes/main?format=json").json
    assert found.keys() == {
        *("branch", "starttime", "endtime", "mpb", "total", "platforms", "pending")
    }
    assert (found["branch"], found["mpb"], found["total"]) == ("main", 15, 4)
    assert found["endtime"] - found["starttime"] == 24 * 3600
    assert [one["id"] for one in found["pending"]] == [still.id]
    counts = {str(minutes): 0 for minutes in range(0, 121, 15)}
    assert found["platforms"] == {still.system: {**counts, "0": 1, "15": 2, "120": 1}}


def test_the_time_of_wait_times(get, factory, main, clock):
    """Of a day, unless the client says when; junk is refused."""
    factory.build(BuildStatus.RUNNING, jobset=main)
    clock.forward(hours=25)
    path = "/reports/waittimes/main?format=json"
    assert get(path).json["total"] == 0
    assert get(f"{path}&starttime={NOW}&endtime={NOW + 1}").json["total"] == 1
    for query in (
        f"starttime={NOW}&endtime={NOW - 1}",
        "starttime=1",
        "starttime=x",
        "endtime=1.5",
        "endtime=-5",
        f"endtime={'9' * 18}",
    ):
        assert get(f"{path}&{query}").status_code == 400, query


def end(factory, build, status=BuildStatus.SUCCEEDED):
    lease = factory.claim(offer_of(build)).lease
    factory.reporter.advance(lease, done(0), 1, sandbox="plain")
    factory.reporter.finish(lease, BuildResult(status), ())


def test_from_push_to_green(get, factory, store, main, clock):
    """From the push to the end of its last build; a push that still builds is not there yet."""
    jobs = [make_job(name=name, image=f"image-{name}") for name in ("a", "b")]
    first, second = (factory.evaluated(main, *jobs) for _ in range(2))
    factory.evaluated(main, *jobs)
    for status, evaluation in ((BuildStatus.SUCCEEDED, first), (BuildStatus.FAILED, second)):
        for build in store.builds.list_of_evaluation(evaluation.id):
            clock.forward(minutes=1)
            end(factory, build, status)
    found = get("/reports/endtoend/main?format=json").json
    shape = {"starttime": NOW, "builds": 2}
    assert found == {
        "branch": "main",
        "pushes": [
            {
                **shape,
                "revision": first.revision,
                "endtime": NOW + 120,
                "duration": 120,
                "green": True,
            },
            {
                **shape,
                "revision": second.revision,
                "endtime": NOW + 240,
                "duration": 240,
                "green": False,
            },
        ],
    }


# -- files of what has ended ----------------------------------------------------------------------


def unpacked(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)
    return json.loads(gzip.decompress(answer.content))


@pytest.fixture
def ended(factory, main):
    return factory.build(BuildStatus.SUCCEEDED, jobset=main, name="linux64")


def test_the_last_four_hours(get, factory, main, ended, clock):
    """Every build that ended in them, the earliest first, in the words of that time."""
    clock.forward(minutes=5)
    failed = factory.build(BuildStatus.FAILED, jobset=main)
    factory.build(BuildStatus.RUNNING, jobset=main)
    factory.build(BuildStatus.CANCELED, jobset=main)
    found = unpacked(get(RECENT))
    assert (found["starttime"], found["endtime"]) == (NOW + 300 - 4 * 3600, NOW + 300)
    assert [(one["id"], one["result"]) for one in found["builds"]] == [
        (ended.id, 0),
        (failed.id, 2),
    ]
    item = found["builds"][0]
    told = item.pop("properties")
    builder, slave = item["builder_id"], item["slave_id"]
    assert item == {
        "id": ended.id,
        "builder_id": builder,
        "slave_id": slave,
        "master_id": 1,
        "buildnumber": 1,
        "requesttime": NOW,
        "starttime": NOW,
        "endtime": NOW,
        "result": 0,
        "reason": "scheduler",
        "request_ids": [ended.id],
    }
    assert {type(item[key]) for key in ("builder_id", "slave_id", "starttime")} == {int}
    assert found["builders"][str(builder)] == {"name": "linux64", "category": "main"}
    assert found["slaves"][str(slave)] == "local-0"
    assert told["log_url"].startswith("http://127.0.0.1:8080/build/1/log/")
    assert {key: told[key] for key in ("branch", "revision", "buildername", "slavename")} == {
        "branch": "main",
        "revision": ended.revision,
        "buildername": "linux64",
        "slavename": "local-0",
    }
    assert (told["request_ids"], told["request_times"]) == ([ended.id], {str(ended.id): NOW})
    assert (told["buildid"], told["product"], told["who"]) == (
        "20260301120000",
        main.project,
        "ada",
    )
    assert told["blobber_files"] == "{}"


def test_products_are_named(get, factory, main):
    """Each by its address, and the first as the package."""
    running = factory.build(BuildStatus.RUNNING, jobset=main)
    lease = factory.leases[running.id]
    factory.reporter.add_product(lease, "out/a.tar", io.BytesIO(b"a"))
    factory.reporter.finish(lease, BuildResult(BuildStatus.SUCCEEDED), ())
    (item,) = unpacked(get(RECENT))["builds"]
    address = f"http://127.0.0.1:8080/build/{running.id}/product/1/a.tar"
    assert json.loads(item["properties"]["blobber_files"]) == {"a.tar": address}
    assert item["properties"]["packageUrl"] == address


def test_addresses_do_not_come_from_who_asks(get, ended):
    """The file is everybody's."""
    assert b"evil" not in gzip.decompress(get(RECENT, Host="evil.example.org").content)


def test_a_day_of_builds(get, ended, clock, factory, main):
    """In UTC, also today's; there is none before the first build, in the future, or of junk."""
    clock.forward(days=2)
    later = factory.build(BuildStatus.FAILED, jobset=main)
    day = "/builddata/buildjson/builds-2026-03-{}.js.gz"
    assert [one["id"] for one in unpacked(get(day.format("01")))["builds"]] == [ended.id]
    assert unpacked(get(day.format("02")))["builds"] == []
    assert [one["id"] for one in unpacked(get(day.format("03")))["builds"]] == [later.id]
    for name in (
        *("builds-2026-02-28.js.gz", "builds-2026-03-04.js.gz", "builds-2026-13-01.js.gz"),
        *("builds-9999-12-31.js.gz", "builds-0001-01-01.js.gz", "builds-4hr.js", "x"),
        *("..%2F..%2Fciserver.db", "builds-2026-03-01.js.gz%0A", ".new"),
    ):
        assert get(f"/builddata/buildjson/{name}").status_code == 404, name


def test_no_build_has_ended_yet(get, main):
    """Then no day has a file, and the last four hours are empty."""
    assert get("/builddata/buildjson/builds-2026-03-01.js.gz").status_code == 404
    assert unpacked(get(RECENT))["builds"] == []


def test_only_what_everybody_may_see_is_in_them(get, ada, ended, set_visibility, main, clock):
    """Whoever asks: the file is the same for all."""
    set_visibility(main.project, Visibility.PRIVATE)
    assert unpacked(get(RECENT))["builds"] == []
    seen = ada.client.simulate_get(RECENT, headers=ada.headers)
    assert unpacked(seen)["builds"] == []


def test_what_a_client_has_is_not_sent_again(get, ended, clock, factory, main):
    """It says when its copy was made. Of a day that is over that stays the same for ever."""
    first = get(RECENT)
    made = first.headers["last-modified"]
    assert made == "Sun, 01 Mar 2026 12:00:00 GMT"
    again = get(RECENT, **{"If-Modified-Since": made})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["last-modified"] == made
    clock.forward(minutes=2)
    factory.build(BuildStatus.FAILED, jobset=main)
    assert get(RECENT, **{"If-Modified-Since": made}).status_code == 200
    assert get(RECENT, **{"If-Modified-Since": "junk"}).status_code == 200
    day = "/builddata/buildjson/builds-2026-03-01.js.gz"
    clock.forward(days=1)
    made = get(day).headers["last-modified"]
    clock.forward(hours=5)
    assert get(day, **{"If-Modified-Since": made}).status_code == 304


def test_a_file_is_not_made_for_each_request(get, ended, factory, main, clock, store):
    """What ended since is in it a minute later; meanwhile no build is looked at."""
    unpacked(get(RECENT))
    factory.build(BuildStatus.FAILED, jobset=main)
    store.database.sql("ALTER TABLE builds RENAME TO away")
    assert len(unpacked(get(RECENT))["builds"]) == 1
    store.database.sql("ALTER TABLE away RENAME TO builds")
    clock.forward(seconds=61)
    assert len(unpacked(get(RECENT))["builds"]) == 2


def test_it_is_written_as_it_is_found(factory, main, ended, clock):
    """Nothing of a long list is held in memory: the file grows while builds are still to come."""
    grown, file = [], io.BytesIO()

    def many():
        for _ in range(30_000):
            yield Ended(ended, "main", (), ())
            grown.append(file.tell())

    now = clock.now()
    Dump(Links("http://ci"), now - timedelta(hours=4), now).write(file, many())
    assert grown[20_000] > grown[10_000] > 0
    assert len(json.loads(gzip.decompress(file.getvalue()))["builds"]) == 30_000
