"""The page of a build: what it made, what it needs, since when it is broken, how to do it again."""

import io
import subprocess

import pytest

from ciserver.model.account import Visibility
from ciserver.model.build import Output, ProductKind
from ciserver.model.project import ProjectSettings
from ciserver.model.status import BuildStatus

GOOD, BAD = BuildStatus.SUCCEEDED, BuildStatus.FAILED
NEEDS = """\
image: host
needs: [{needs}]
tasks:
  - build: "true"
"""


def parts(**needs):
    """Recipes of jobs that need others."""
    return {
        f".builds/{name}.yml": NEEDS.format(needs=", ".join(words)) for name, words in needs.items()
    }


def hrefs(page):
    return [one["href"] for one in page.all("a") if "href" in one]


# -- products -------------------------------------------------------------------------------------


KINDS = {
    "report/coverage": "Coverage report",
    "report/lint": "Report: lint",
    "doc/manual": "Manual",
    "doc/release-notes": "Release notes",
    "doc-pdf/manual": "Manual (PDF)",
    "file/source-dist": "Source distribution",
    "file/iso": "Disk image",
    "file/": "File",
    "nix-build/": "Output",
    "nix-build/dev": "Output: dev",
    "channel/": "Channel",
    "<b>/&": "<b>: &",
}


def test_products_are_called_by_what_they_are(works, browser):
    """What is to be read stands by itself, and opens."""
    lease = works.running()
    for number, kind in enumerate(KINDS, 1):
        words = ProductKind(*kind.split("/"))
        works.parts.reporter.add_product(lease, f"/out/{number}.html", io.BytesIO(b"x"), kind=words)
    works.finish(lease)
    page = browser.page("/build/1")
    for label in KINDS.values():
        assert label in page.text
    read = [one for one in hrefs(page) if one.startswith("/build/1/download/")]
    assert read == [f"/build/1/download/{number}" for number in (1, 2, 3, 4, 5)]
    assert browser.get(browser.get(read[0]).headers["location"]).content == b"x"


def test_archives_lead_to_what_lies_in_them(works, browser):
    lease = works.running()
    for name in ("a.txt", "b.tar.xz", "c.ZIP"):
        works.product(lease, name)
    page = browser.page("/build/1")
    assert [one for one in hrefs(page) if "contents" in one] == [
        "/build/1/contents/2",
        "/build/1/contents/3",
    ]


def test_products_of_earlier_attempts_stand_apart(works, browser, services, admin):
    lease = works.running()
    works.product(lease, "old.txt")
    works.finish(lease, BAD)
    services.builds.rerun(admin, 1)
    works.product(works.claim(), "new.txt")
    page = browser.page("/build/1")
    assert "Products of earlier attempts" in page.text
    assert {"/build/1/product/1/old.txt", "/build/1/product/2/new.txt"} <= set(hrefs(page))


def test_it_says_until_when_products_stand(works, browser, services, admin):
    """And what holds them besides."""
    lease = works.running()
    works.product(lease, "out.txt")
    assert "They are not removed: its build has not ended." in browser.page("/build/1").text
    works.finish(lease)
    text = browser.page("/build/1").text
    assert "What holds them besides: an evaluation that is kept has it." in text
    assert browser.get("/ci/v1/builds/1").json["kept_why"] == "an evaluation that is kept has it"
    services.builds.keep(admin, 1, kept=True)
    assert "They are not removed: its build is kept." in browser.page("/build/1").text


def test_products_are_kept_at_the_push_of_a_button(works, browser, person, store):
    """By who may change the project, and only of what succeeded."""

    def buttons(who):
        actions = [one["action"] for one in who.page("/build/1").all("form")]
        return [one for one in actions if "/keep/" in one]

    lease = works.running()
    assert buttons(person) == []
    works.finish(lease)
    assert (buttons(browser), buttons(person)) == ([], ["/build/1/keep/1"])
    for kept, following in ((1, "/build/1/keep/0"), (0, "/build/1/keep/1")):
        csrf = person.page("/build/1").csrf
        answer = person.post(f"/build/1/keep/{kept}", csrf=csrf)
        assert (answer.status_code, answer.headers["location"]) == (303, "/build/1")
        assert store.builds.get(1).kept == bool(kept)
        assert buttons(person) == [following]
    assert person.post("/build/1/keep/1").status_code == 403


# -- what it needs --------------------------------------------------------------------------------


def test_what_it_needs_is_told_with_its_state(works, browser, services, admin):
    """Of builds that were made with it, and of those that were found there."""
    works.evaluation(parts(lib=[], tool=[], all=["lib", "tool"]))
    builds = {one.job: one for one in services.queries.builds(admin).builds}
    page = browser.page(f"/build/{builds['all'].id}")
    assert {f"/build/{builds[one].id}" for one in ("lib", "tool")} <= set(hrefs(page))
    answer = browser.get(f"/build/{builds['all'].id}/constituents")
    assert answer.headers["location"] == f"/build/{builds['all'].id}#needs"
    assert "needs" in {one.get("id") for _, one in page.tags}


def test_all_that_it_needs_has_a_page(works, browser, services, admin):
    """Each build once, the nearest first."""
    works.evaluation(parts(base=[], lib=["base"], tool=["base", "lib"], all=["tool"]))
    builds = {one.job: one.id for one in services.queries.builds(admin).builds}
    page = browser.page(f"/build/{builds['all']}/build-deps")
    needed = [one for one in hrefs(page) if one.startswith("/build/")]
    expected = [builds["all"], builds["tool"], *sorted((builds["base"], builds["lib"]))]
    assert needed == [f"/build/{one}" for one in expected]
    assert "It needs no other build" in browser.page(f"/build/{builds['base']}/build-deps").text


def test_outputs_have_a_page(works, browser):
    lease = works.running()
    works.parts.reporter.set_output(lease, Output("", "/nix/x.drv", {"out": "/nix/store/x-hello"}))
    page = browser.page("/build/1/runtime-deps")
    assert "/nix/store/x-hello" in page.text
    assert "/build/1/output/out" in hrefs(page)
    works.build()
    assert "Nix did not build it" in browser.page("/build/2/runtime-deps").text


# -- since when it is broken ----------------------------------------------------------------------


@pytest.fixture
def ended(works):
    """Push with this message, and let the build end so; answers its id."""

    def end(status, message="a change"):
        works._count += 1
        recipe = "image: host\ntasks:\n  - build: make\n"
        works.evaluation({".build.yml": recipe, "n": str(works._count)}, message=message)
        lease = works.claim()
        works.finish(lease, status)
        return lease.build_id

    return end


def test_the_first_broken_build_is_told(ended, browser):
    """With the last good one before it, and who changed what in between."""
    ended(GOOD, "all is well")
    ended(BuildStatus.ERRORED, "our fault")
    ended(BAD, "break <it>")
    ended(BAD, "try again")
    newest = ended(BuildStatus.TIMED_OUT, "and again")
    page = browser.page(f"/build/{newest}")
    assert "The job has failed since" in page.text
    assert {"/build/1", "/build/3"} <= set(hrefs(page))
    assert all(one in page.text for one in ("break <it>", "our fault", "Ada Author"))
    assert "try again" not in page.text
    first = browser.page("/build/3")
    assert "This is the first build of the job that failed" in first.text


def test_a_job_that_was_never_good_has_no_good_build(ended, browser):
    for number in (1, 2):
        ended(BAD)
        assert "no build before it was good" in browser.page(f"/build/{number}").text


@pytest.mark.parametrize("status", [GOOD, BuildStatus.ERRORED])
def test_what_is_not_broken_says_nothing_of_it(ended, browser, status):
    ended(BAD)
    page = browser.page(f"/build/{ended(status)}")
    assert "breakage" not in {one.get("id") for _, one in page.tags}


# -- done again -----------------------------------------------------------------------------------


RECIPE = """\
image: host
sources:
  - {uri}
environment:
  GREETING: "it's $HOME; `id` \\"quoted\\""
  WORDS: [one, "two words", "$three"]
tasks:
  - first: |
      printf '%s|' "$GREETING" "${{WORDS[@]}}" "$CI" > said
      cat project/n > n
      cat <<'END_OF_TEXT' > here
      END_OF_TEXT_
      END_OF_TEXT
  - second: |
      echo second >> n
      complete-build
  - third: exit 7
artifacts: [said]
"""


def test_a_build_can_be_done_again_elsewhere(works, browser, repository, tmp_path):
    """By a script with its sources as they were, its variables and its tasks."""
    recipe = RECIPE.format(uri=f"file://{repository.bare}")
    works.evaluation({".build.yml": recipe, "n": "1\n"})
    works.evaluation({".build.yml": recipe, "n": "2\n"})
    answer = browser.get("/build/1/reproduce")
    assert answer.headers["content-type"] == "text/x-shellscript; charset=utf-8"
    assert 'filename="reproduce-build-1.sh"' in answer.headers["content-disposition"]
    place = tmp_path / "a place"
    command = ["sh", "-s", str(place)]
    done = subprocess.run(
        command, input=answer.text, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    said = (place / "said").read_text()
    assert said == 'it\'s $HOME; `id` "quoted"|one|two words|$three|true|'
    assert (place / "n").read_text() == "1\nsecond\n"
    assert (place / "here").read_text() == "END_OF_TEXT_\n"
    again = subprocess.run(
        command, input=answer.text, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (again.returncode, "is there already" in again.stderr) == (1, True)


def test_a_task_that_fails_ends_the_script(works, browser, tmp_path):
    works.build(recipe="image: host\ntasks:\n  - a: exit 3\n  - b: touch ../../b\n")
    script = browser.get("/build/1/reproduce").text
    done = subprocess.run(
        ["sh", "-s", "x"], input=script, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert (done.returncode, "task a exited with status 3" in done.stderr) == (1, True)
    assert not (tmp_path / "b").exists()


# -- for whom it is -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["constituents", "build-deps", "runtime-deps", "reproduce"])
def test_what_is_private_is_not_there(works, browser, person, services, admin, name):
    works.build()
    settings = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(admin, "project", settings)
    assert browser.get(f"/build/1/{name}").status_code == 404
    assert person.get(f"/build/1/{name}").status_code in {200, 302}
    assert person.get(f"/build/2/{name}").status_code == 404
