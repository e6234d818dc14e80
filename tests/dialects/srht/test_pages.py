"""What somebody asked for, for people: lists, tag paths, the search box, feeds, badges, one job."""

from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from ciserver.model.push import ZERO, Push, RefChange
from ciserver.model.status import BuildStatus

HTML = {"Accept": "text/html"}
MANIFEST = "image: host\ntasks:\n  - build: echo built\n"
HOST = "http://falconframework.org"
ATOM_LINK = "{http://www.w3.org/2005/Atom}link"


class Page(HTMLParser):
    """The links of a page, its pictures, the box, and its text."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.box, self.text, self.html = [], [], {}, "", text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "img":
            self.pictures.append(attrs["src"])
        if tag == "input" and attrs["name"] == "search":
            self.box = attrs

    def handle_data(self, data):
        self.text += data

    @property
    def jobs(self):
        """The ids of those shown, from above."""
        of_builds = (one.removeprefix("/build/") for one in self.links if "/build/" in one)
        return [int(one) for one in of_builds if one.isdigit()]


class Reader:
    """Somebody who looks: with a browser's cookies, a program's token, or neither."""

    def __init__(self, program, cookies=None):
        self.program, self.cookies = program, cookies

    def ask(self, path, headers=HTML, **params):
        return self.program.get(path, headers=headers, cookies=self.cookies, params=params)

    def see(self, path, status=200, **params):
        answer = self.ask(path, **params)
        assert answer.status_code == status, answer.text
        return Page(answer.text)

    def feed(self, path, **params):
        answer = self.ask(path, **params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/rss+xml; charset=utf-8"
        return ET.fromstring(answer.content).find("channel")


@pytest.fixture
def nobody(stranger):
    return Reader(stranger)


@pytest.fixture
def herself(stranger, session):
    """Ada, signed in."""
    return Reader(stranger, session("ada"))


def titles(feed):
    return [one.findtext("title") for one in feed.iter("item")]


# -- lists ----------------------------------------------------------------------------------------


def test_newest_first_page_by_page(ada, nobody):
    """Fifteen a page; the link to older ones leads to the rest, and then there is none."""
    made = [ada.submit(note=f"Note {number}") for number in range(17)]
    first = nobody.see("/~ada")
    assert first.jobs == made[:1:-1]
    (older,) = [one for one in first.links if "before=" in one]
    assert older == f"?before={made[2]}"
    second = nobody.see("/~ada", before=made[2])
    assert second.jobs == made[1::-1]
    assert not [one for one in second.links if "before=" in one]


def test_what_is_told_of_a_job(ada, nobody, worker):
    """How it fared, the beginning of its note with links, its image, its tags as paths."""
    note = "Fix [it](https://e.org/x)\n\n    and more" + " of it" * 100
    job = ada.submit(note=note, tags=["repo", "fixes"])
    worker.finish(worker.start(), BuildStatus.FAILED)
    page = nobody.see("/~ada")
    assert page.jobs == [job]
    assert {"Failed", "host", "Fix "} <= set(page.html.replace("<", ">").split(">"))
    assert "Fix it and more of it of it" in page.text
    assert note[-300:] not in page.text
    assert {"https://e.org/x", "/~ada/repo", "/~ada/repo/fixes"} <= set(page.links)


def test_beneath_tags(ada, nobody):
    """Whole tags from the first on, in letters of either case; crumbs lead up."""
    one, two = ada.submit(tags=["Repo", "main"]), ada.submit(tags=["repo", "fix"])
    ada.submit(tags=["main", "repo"])
    assert nobody.see("/~ada/repo").jobs == [two, one]
    page = nobody.see("/~ada/repo/main")
    assert page.jobs == [one]
    assert "~ada/repo/main" in page.text
    assert {"/~ada", "/~ada/repo"} <= set(page.links)
    assert nobody.see("/~ada/repo/none").jobs == []


def test_what_a_push_built(nobody, services, admin, repository, make):
    """It is its pusher's, beneath the repository, the branch with its slashes, and the manifest."""
    revision = repository.commit({".build.yml": MANIFEST}, "Teach it <b>to count</b>")
    repository.push()
    services.projects.watch(admin, "project", str(repository.bare), local=True)
    change = RefChange("refs/heads/feature/x", ZERO, revision)
    services.pushes.accept_push(make.received(), Push((change,), pusher="grace"))
    assert services.evaluations.evaluate_next()
    name = repository.bare.name.removesuffix(".git")
    for path in ("", f"/{name}", f"/{name}/commits", f"/{name}/commits/feature/x"):
        page = nobody.see(f"/~grace{path}")
        assert page.jobs == [1]
        assert "Teach it <b>to count</b>" in page.text
        assert titles(nobody.feed(f"/~grace{path}/rss.xml")) == ["#1 (queued)"]


@pytest.mark.parametrize("path", ["/~nobody", "/~ada/", "/~ada//", "/~ada/x/../y"])
def test_nothing_there_is_an_empty_list(nobody, path):
    """Who has an account is nobody's business."""
    assert nobody.see(path).jobs == []


@pytest.mark.parametrize("path", ["/~", "/~a%20b", "/~%3Cb%3E", "/~ada/%00", "/~-x.svg", "/~é"])
def test_what_can_be_no_name_is_not_there(nobody, path):
    """A page that says so."""
    answer = nobody.ask(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


def test_hostile_notes_and_searches_stay_text(ada, nobody):
    """In the list, the box, and its fault."""
    attack = '"><script>alert(1)</script>'
    ada.submit(note=attack)
    for page in (
        nobody.see("/~ada"),
        nobody.see("/~ada", search=attack),
        nobody.see("/~ada", status=400, search=f"{attack}:x"),
        nobody.see("/~ada/%3Cscript%3E"),
    ):
        assert "<script>alert" not in page.html
        assert "<script>" not in page.html.lower()


def test_what_is_not_public_is_in_lists_of_its_own_people(ada, nobody, herself, program):
    """Not in those of others, by no path and no search."""
    made = [
        ada.submit(visibility=one, tags=["t"], note="found")
        for one in ("public", "unlisted", "private")
    ]
    shared = ada.submit(visibility="private", tags=["t"], **{"access:read": ["ada"]})
    for path in ("/~ada", "/~ada/t"):
        assert nobody.see(path).jobs == made[:1]
        assert nobody.see(path, search="!nothing").jobs == made[:1]
        assert Reader(program("eve")).see(path).jobs == made[:1]
        assert herself.see(path).jobs == [shared, *made[::-1]]


# -- search ---------------------------------------------------------------------------------------


def test_search(ada, nobody, worker):
    """Words, status, image, tags, each turned round by `!`; and the box keeps what was asked."""
    fixed = ada.submit(note="Fix the thing", tags=["repo", "main"])
    worker.finish(worker.start())
    docs = ada.submit(note="Write docs", tags=["repo", "docs"])
    for search, found in (
        ("fix", [fixed]),
        ("status:success", [fixed]),
        ("!status:success", [docs]),
        ("tags:docs", [docs]),
        ("!tags:docs thing", [fixed]),
        ("image:host", [docs, fixed]),
        ("!image:host", []),
        ('"the thing" tags:repo', [fixed]),
    ):
        page = nobody.see("/~ada", search=search)
        assert (page.jobs, page.box["value"]) == (found, search)
        assert nobody.see("/~ada/repo", search=search).jobs == found


def test_pages_of_a_search_keep_it(ada, nobody):
    """The link to older ones searches too."""
    made = [ada.submit(note="a & b") for _ in range(16)]
    page = nobody.see("/~ada", search='"a & b"')
    assert page.jobs == made[:0:-1]
    assert f"?search=%22a+%26+b%22&before={made[1]}" in page.links


@pytest.mark.parametrize("search", ["colour:red", "status:green", "x" * 201, "image:"])
def test_a_fault_stands_at_the_box(ada, nobody, search):
    """Nothing is found then, and the feed of it is refused too."""
    ada.submit()
    page = nobody.see("/~ada", status=400, search=search)
    assert (page.jobs, page.box["aria-invalid"]) == ([], "true")
    assert 'id="search-wrong"' in page.html
    assert nobody.ask("/~ada/rss.xml", search=search).status_code == 400


def test_a_wrong_cursor_is_refused(nobody):
    """It is a number."""
    assert nobody.ask("/~ada", before="x").status_code == 400


# -- feeds ----------------------------------------------------------------------------------------


def test_a_feed(ada, nobody, worker, clock):
    """RSS 2.0: each job with its status, absolute links, its note as HTML."""
    job = ada.submit(note="See [#1](/build/1) & <b>", tags=["repo", "main"])
    worker.finish(worker.start())
    feed = nobody.feed("/~ada/rss.xml")
    assert feed.findtext("title") == "~ada"
    assert feed.findtext("link") == f"{HOST}/~ada"
    assert feed.find(ATOM_LINK).get("href") == f"{HOST}/~ada/rss.xml"
    (item,) = feed.iter("item")
    assert item.findtext("title") == f"#{job} (success)"
    assert item.findtext("link") == item.findtext("guid") == f"{HOST}/~ada/job/{job}"
    assert item.findtext("pubDate") == clock.now().strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert item.findtext("category") == "repo/main"
    assert item.findtext("description") == (
        f'See <a href="{HOST}/build/1" rel="nofollow noopener noreferrer">#1</a> &amp; &lt;b&gt;'
    )


def test_feeds_of_tags_and_searches(ada, nobody):
    """What the page of the same address shows, which links to it."""
    job = ada.submit(note="one", tags=["repo", "main"])
    ada.submit(note="two", tags=["repo"])
    assert titles(nobody.feed("/~ada/repo/main/rss.xml")) == [f"#{job} (queued)"]
    feed = nobody.feed("/~ada/repo/rss.xml", search="one")
    assert titles(feed) == [f"#{job} (queued)"]
    assert feed.findtext("link") == f"{HOST}/~ada/repo?search=one"
    page = nobody.see("/~ada/repo", search="one")
    assert "/~ada/repo/rss.xml?search=one" in page.links
    assert '<link rel="alternate" type="application/rss+xml"' in page.html


def test_a_feed_holds_only_what_xml_can(ada, nobody):
    """Whatever is in a note."""
    ada.submit(note="\x00\x0b<![CDATA[ ]]> \x1b[31m")
    (item,) = nobody.feed("/~ada/rss.xml").iter("item")
    assert "CDATA" in item.findtext("description")


def test_a_feed_that_did_not_change_is_not_sent_again(ada, nobody, worker, clock):
    """By its content or its time; a search has only the content."""
    ada.submit(note="x")
    first = nobody.ask("/~ada/rss.xml")
    assert first.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    since = {"If-Modified-Since": first.headers["last-modified"]}
    assert nobody.ask("/~ada/rss.xml", known).status_code == 304
    assert nobody.ask("/~ada/rss.xml", since).status_code == 304
    assert "last-modified" not in nobody.ask("/~ada/rss.xml", search="x").headers
    clock.forward(seconds=5)
    worker.finish(worker.start())
    assert nobody.ask("/~ada/rss.xml", known).status_code == 200
    assert nobody.ask("/~ada/rss.xml", since).status_code == 200


def test_private_jobs_are_in_no_foreign_feed(ada, nobody, herself):
    """And what is in one's own is kept by nobody in between."""
    job = ada.submit(visibility="private")
    assert titles(nobody.feed("/~ada/rss.xml")) == []
    assert titles(herself.feed("/~ada/rss.xml")) == [f"#{job} (queued)"]
    assert herself.ask("/~ada/rss.xml").headers["cache-control"] == "private, no-cache"


# -- badges ---------------------------------------------------------------------------------------


def word(answer):
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    return [one.text for one in ET.fromstring(answer.content).iter() if one.text][-1]


def test_a_badge_shows_the_newest_that_ended(ada, nobody, worker):
    """Success, failure, or unknown before; what was canceled says nothing; each path its own."""
    assert word(nobody.ask("/~ada.svg")) == "unknown"
    for status, tag, shown in (
        (BuildStatus.FAILED, "a", "failure"),
        (BuildStatus.SUCCEEDED, "b", "success"),
        (BuildStatus.TIMED_OUT, "c", "failure"),
    ):
        ada.submit(tags=[tag, "x"])
        worker.finish(worker.start(), status)
        assert word(nobody.ask("/~ada.svg")) == word(nobody.ask(f"/~ada/{tag}.svg")) == shown
    canceled = ada.submit(tags=["b"])
    ada.post(f"/api/jobs/{canceled}/cancel")
    ada.submit(tags=["b"])
    assert word(nobody.ask("/~ada/b.svg")) == word(nobody.ask("/~ada/b/x.svg")) == "success"
    assert word(nobody.ask("/~ada/d.svg")) == "unknown"
    assert "/~ada/b/x.svg" in nobody.see("/~ada/b/x").pictures


def test_badges_tell_nothing_that_is_not_public(ada, nobody, herself, worker):
    """Also to those who may see it: the picture is one for all."""
    for visibility in ("unlisted", "private"):
        ada.submit(visibility=visibility, tags=["t"])
        worker.finish(worker.start())
    for path in ("/~ada.svg", "/~ada/t.svg"):
        assert word(nobody.ask(path)) == word(herself.ask(path)) == "unknown"


def test_a_badge_has_a_label(nobody):
    """Whatever it is made of; a long one is cut."""
    attack = '"/><script>\x00&'
    answer = nobody.ask("/~ada.svg", name=attack)
    assert word(answer) == "unknown"
    root = ET.fromstring(answer.content)
    assert root.get("aria-label") == '"/><script>\ufffd&: unknown'
    assert "<script>" not in answer.text
    assert len(nobody.ask("/~ada.svg", name="x" * 5_000).text) < 2_000


def test_a_badge_is_asked_for_again_each_time(ada, nobody, worker):
    """And only sent when it is another."""
    first = nobody.ask("/~ada.svg")
    assert first.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    assert nobody.ask("/~ada.svg", known).status_code == 304
    ada.submit()
    worker.finish(worker.start())
    assert nobody.ask("/~ada.svg", known).status_code == 200


# -- one job --------------------------------------------------------------------------------------


def test_the_page_of_a_job(ada, nobody, herself):
    """It is that of the build, where each task has its place."""
    job = ada.submit()
    answer = nobody.ask(f"/~ada/job/{job}")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/build/{job}")
    private = ada.submit(visibility="private")
    assert nobody.ask(f"/~ada/job/{private}").status_code == 404
    assert herself.ask(f"/~ada/job/{private}").status_code == 302
    for nothing in ("999", "x", "-1", "9" * 30):
        assert nobody.ask(f"/~ada/job/{nothing}").status_code == 404


def test_tasks_have_anchors(ada, nobody, worker):
    """`#task-NAME`, as links to jobs have them; the newest attempt's alone."""
    job = ada.submit()
    worker.start()
    page = nobody.see(f"/build/{job}")
    assert page.html.count('id="task-build"') == page.html.count('id="task-test"') == 1


def test_the_manifest_of_a_job(ada, nobody):
    """As it was submitted, to whoever sees the job."""
    job = ada.submit(manifest="image: host\ntasks:\n- a: 'true' # <b>\n")
    answer = nobody.ask(f"/~ada/job/{job}/manifest")
    assert answer.text == "image: host\ntasks:\n- a: 'true' # <b>\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    private = ada.submit(visibility="private")
    assert nobody.ask(f"/~ada/job/{private}/manifest").status_code == 404
