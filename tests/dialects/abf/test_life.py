"""How a list fares: its code at each stage, what can be done with it then, and where it stands."""

import pytest
from dialects.abf.playing import LISTS, message
from support.factories import ADMIN, make_job

from ciserver.dialects.abf.words import STATE, VISIBILITY, autostart_of
from ciserver.model.account import Visibility
from ciserver.model.build import BuildResult
from ciserver.model.evaluation import Kind
from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus
from ciserver.recipe.text import job_to_json
from ciserver.store.arrivals import Texts

S = BuildStatus
CODES = [
    (S.QUEUED, 2, ""),
    (S.HELD, 2, ""),
    (S.STARTING, 3, ""),
    (S.RUNNING, 3, ""),
    (S.CANCELING, 5, ""),
    (S.SUCCEEDED, 0, ""),
    (S.PARTIAL, 6, ""),
    (S.FAILED, 1, "exit-code"),
    (S.TIMED_OUT, 4, "time-limit"),
    (S.CANCELED, 4, "canceled-by"),
    (S.ERRORED, 1, "sandbox-broken"),
]
STAGES = [status for status, _, _ in CODES]


@pytest.fixture
def product(put_product):
    """One whose repository nobody asks."""
    return put_product("https://example.org/evil_tools.git")


@pytest.fixture
def bring(factory, product, store, clock):
    """A build of the product at a stage."""

    def bring(status, **job):
        if status is not S.HELD:
            return factory.build(status, jobset=product, **job).id
        evaluation = factory.evaluation(product)
        with store.transaction():
            texts = Texts(store.queue.add_text(job_to_json(make_job())))
            return store.queue.add(evaluation, make_job(), texts, clock.now(), held=True)

    return bring


def test_every_status_and_visibility_has_its_word():
    """Whatever the core knows."""
    assert set(STATE) == set(BuildStatus)
    assert set(VISIBILITY) == set(Visibility)


def test_each_stage_has_its_code(ivan, bring):
    """In the lists and alone; why it ended so stands beside it."""
    expected = {bring(status): (code, reason) for status, code, reason in CODES}
    shown = {build_id: ivan.show(build_id) for build_id in expected}
    assert {key: (one["status"], one["reason"]) for key, one in shown.items()} == expected
    listed = ivan.get(f"{LISTS}.json").json["product_build_lists"]
    assert {one["id"]: one["status"] for one in listed} == {
        key: code for key, (code, _) in expected.items()
    }


def test_cancel_is_for_what_waits_or_runs(ivan, bring):
    """What waits is canceled at once, what runs stops first; anything else refuses."""
    for status in STAGES:
        build_id, before = bring(status), STATE[status]
        answer = ivan.ask("PUT", f"{LISTS}/{build_id}/cancel.json")
        if before in {2, 3}:
            assert answer.status_code == 200, status
            assert ivan.show(build_id)["status"] == {2: 4, 3: 5}[before], status
        else:
            assert message(answer).startswith("Product build list has not been canceled. ")
            assert ivan.show(build_id)["status"] == before, status


def test_destroy_is_for_what_has_ended(ivan, bring):
    """A refused one is there as before."""
    for status in STAGES:
        build_id, before = bring(status), STATE[status]
        answer = ivan.ask("DELETE", f"{LISTS}/{build_id}.json")
        if before in {0, 1, 4, 6}:
            assert answer.status_code == 200, status
            assert ivan.get(f"{LISTS}/{build_id}.json").status_code == 404, status
        else:
            assert message(answer).startswith("Product build list has not been destroyed. ")
            assert ivan.show(build_id)["status"] == before, status


@pytest.mark.parametrize("wanted", [True, False])
def test_only_what_completed_is_kept(ivan, bring, wanted):
    """Even to leave it as it is."""
    for status in STAGES:
        build_id, completed = bring(status), STATE[status] in {0, 6}
        body = {"product_build_list": {"not_delete": wanted}}
        answer = ivan.ask("PUT", f"{LISTS}/{build_id}.json", body)
        if completed:
            assert answer.status_code == 200, status
        else:
            assert message(answer).startswith("Product build list has not been updated. ")
        assert ivan.show(build_id)["not_delete"] is (wanted and completed), status


def test_what_is_being_canceled_may_come_to_its_own_end(ivan, bring, parts, factory):
    """Whichever comes first."""
    for end in (S.CANCELED, S.SUCCEEDED, S.PARTIAL, S.FAILED):
        build_id = bring(S.CANCELING)
        parts.reporter.finish(factory.leases[build_id], BuildResult(end), ())
        assert ivan.show(build_id)["status"] == STATE[end]


def test_what_is_being_canceled_is_canceled_when_its_worker_is_lost(ivan, bring, services, clock):
    """No list is on its way for ever."""
    build_id = bring(S.CANCELING)
    clock.forward(minutes=5)
    services.builds.rescue_lost()
    assert ivan.show(build_id)["status"] == 4


def test_a_build_of_a_push_is_a_list_without_a_script(ivan, bring):
    """Whatever made it; its limit is its own or that of the server, in minutes."""
    shown = ivan.show(bring(S.QUEUED, timeout_seconds=90))
    assert (shown["main_script"], shown["params"], shown["autostarted"]) == ("", "", False)
    assert (shown["time_living"], ivan.show(bring(S.QUEUED))["time_living"]) == (2, 240)


def test_an_unknown_system_is_an_architecture_without_a_number(ivan, bring):
    """Nothing runs it here."""
    shown = ivan.show(bring(S.QUEUED, system="riscv64-linux"))
    assert shown["arch"] == {"id": None, "name": "riscv64"}


def test_what_the_schedule_of_a_product_started_is_autostarted(ivan, factory, product):
    """Nightly, or periodically."""
    for kind in Kind:
        evaluation = factory.evaluated(product, make_job(), kind=kind)
        (build,) = factory.store.builds.list_of_evaluation(evaluation.id)
        is_autostart = kind in {Kind.NIGHTLY, Kind.PERIODIC}
        assert ivan.show(build.id)["autostarted"] is is_autostart, kind


# -- autostarts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timing", "code"),
    [
        (Timing(hours=(4, 16)), 0),
        (Timing(cron=" 0  4,16 * * * ", zone="Europe/Moscow"), 0),
        (Timing(hours=(4,), zone="Europe/Moscow"), 1),
        (Timing(cron="0 4 * * SUN"), 2),
        (Timing(cron="0 5 * * *"), None),
        (Timing(hours=(4,), minutes=(30,)), None),
        (Timing(every_seconds=12 * 3600), None),
    ],
)
def test_schedules_at_the_usual_hours_have_a_code(timing, code):
    """Those at others have none."""
    assert autostart_of(timing) == code


def test_a_product_tells_its_autostart(ivan, services, admin, product):
    """But for one that is paused, or that evaluates the recipe."""
    where = (admin, product.project, product.name, ScheduleKind.NIGHTLY)
    services.schedules.add(*where, Timing(hours=(4, 16)))
    at = services.schedules.add(*where, Timing(hours=(4,)), runs_script=True)
    shown = [ivan.get(f"/api/v1/products/{product.id}.json").json["product"]]
    services.schedules.pause(admin, at.id, paused=True)
    shown += [ivan.get(f"/api/v1/products/{product.id}.json").json["product"]]
    assert [one["autostart_status"] for one in shown] == [1, None]


# -- pages ----------------------------------------------------------------------------------------


@pytest.fixture
def many(factory, product, clock):
    """Builds 1 to 25, each a second younger; then the first was changed."""
    made = []
    for _ in range(25):
        clock.forward(seconds=1)
        made.append(factory.build(jobset=product).id)
    clock.forward(seconds=1)
    factory.services.builds.cancel(ADMIN, 1)
    return [1, *reversed(made[1:])]


PAGES = [
    ("", 0, 20),
    ("page=2", 20, 25),
    ("page=3", 25, 25),
    ("per_page=3&page=2", 3, 6),
    ("per_page=100", 0, 25),
    ("per_page=101", 0, 25),
    ("per_page=0", 0, 20),
    ("per_page=-1", 0, 20),
    ("per_page=many&page=last", 0, 20),
    ("page=0", 0, 20),
    ("page=-2", 0, 20),
    ("page=1e3", 0, 20),
    ("page=999999999999999999", 25, 25),
    ("page=99999999999999999999999", 0, 20),
    ("page=&per_page=", 0, 20),
]


def test_pages(anybody, many):
    """What changed last comes first; what is no number of a page is the first."""
    for query, first, last in PAGES:
        answer = anybody.get(f"{LISTS}.json", query_string=query)
        assert answer.status_code == 200, query
        shown = [one["id"] for one in answer.json["product_build_lists"]]
        assert shown == many[first:last], query
        assert answer.json["url"] == f"{LISTS}.json"


@pytest.mark.parametrize("path", [LISTS, "/api/v1/products/1/product_build_lists"])
def test_pages_name_their_neighbours(anybody, many, path):
    """By whole addresses that work; the last page has none that follows, even a full one, and
    before a page past the end comes the last.
    """

    def neighbours(query):
        found = anybody.get(f"{path}.json", query_string=query).headers.get("link", "")
        parts = [one.partition("; rel=") for one in filter(None, found.split(", "))]
        return {rel.strip('"'): address.strip("<>") for address, _, rel in parts}

    url = f"http://falconframework.org{path}.json?page={{}}&per_page=5"
    for query, pages in {
        "per_page=5": {"next": 2, "last": 5},
        "per_page=5&page=4": {"first": 1, "prev": 3, "next": 5, "last": 5},
        "per_page=5&page=5&authentication_token=": {"first": 1, "prev": 4},
        "per_page=5&page=99": {"first": 1, "prev": 5},
    }.items():
        expected = {relation: url.format(page) for relation, page in pages.items()}
        assert neighbours(query) == expected, query
    assert neighbours("per_page=100") == {}


# -- tags of answers ------------------------------------------------------------------------------


def test_a_known_answer_is_not_sent_again(anybody, ivan, bring):
    """While it stays as it is."""
    build_id = bring(S.RUNNING)
    for path in (LISTS, f"{LISTS}/{build_id}", "/api/v1/products/1", "/api/v1/arches"):
        tag = anybody.get(f"{path}.json").headers["etag"]
        for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = anybody.get(f"{path}.json", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        other = anybody.get(f"{path}.json", headers={"If-None-Match": '"other"'})
        assert other.status_code == 200
    before = anybody.get(f"{LISTS}/{build_id}.json").headers["etag"]
    ivan.ask("PUT", f"{LISTS}/{build_id}/cancel.json")
    after = anybody.get(f"{LISTS}/{build_id}.json", headers={"If-None-Match": before})
    assert after.status_code == 200


def test_no_change_is_left_undone_for_a_tag(ivan, bring):
    """Only what is read may be known already."""
    path = f"{LISTS}/{bring(S.QUEUED)}"
    for method, address in (("PUT", f"{path}/cancel.json"), ("DELETE", f"{path}.json")):
        answer = ivan.ask(method, address, headers={"If-None-Match": "*"})
        assert (answer.status_code, bool(answer.content)) == (200, True)
    assert ivan.get(f"{path}.json").status_code == 404


def test_head_is_get_without_a_body(anybody, bring):
    """With its tag."""
    path = f"{LISTS}/{bring(S.QUEUED)}.json"
    answer = anybody.ask("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"] == anybody.get(path).headers["etag"]
