"""What keeps a person's browser safe: headers, no foreign forms, nothing that runs from a build."""

import pytest

from ciserver.model.schedule import ScheduleKind, Timing
from ciserver.model.status import BuildStatus
from ciserver.service.submissions import ManifestSubmission
from ciserver.shipped import shipped
from ciserver.web.app import create_app

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}
PAGES = (
    "/",
    "/project/project",
    "/jobset/project/main",
    "/job/project/main/build",
    "/job/project/main/build/all",
    "/all",
    "/eval/1",
    "/eval/2",
    "/build/1",
    "/build/2",
    "/build/1/step/1",
    "/schedule/1",
    "/queue",
    "/requests",
    "/submit",
    "/~ada",
    "/~ada/tag?search=x:y",
    "/login",
    "/nothing-here",
    "/build/99",
    "/welcome/used",
)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def site(works):
    """A server with something on every page, as hostile as a repository can make it."""
    lease = works.running()
    works.log(lease, f"{HOSTILE}\n\x1b[31mred\x1b[0m\x1b]8;;javascript:alert(1)\x07link\n".encode())
    works.product(lease, "out/page.html", HOSTILE.encode())
    works.finish(lease, BuildStatus.FAILED)
    works.evaluation({".build.yml": f"image: host\n{HOSTILE}: 1\n"}, message=HOSTILE)
    nightly = Timing(cron="0 3 * * *")
    works.services.schedules.add(works.admin, "project", "main", ScheduleKind.NIGHTLY, nightly)
    works.build()
    return works


def policy_of(answer):
    parts = answer.headers["content-security-policy"].split(";")
    return {name: sources for name, _, sources in (part.strip().partition(" ") for part in parts)}


def test_every_page_carries_its_headers(site, person):
    """A page runs nothing but our own script, is framed by nobody and kept by no cache."""
    for path in PAGES:
        answer = person.get(path)
        assert policy_of(answer) == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_no_page_holds_a_script_or_style_of_its_own(site, person, browser):
    """So the policy costs nothing, and what a repository writes stays text."""
    for path in PAGES:
        for reader in (person, browser):
            for tag, attributes in reader.parse(reader.get(path).text).tags:
                assert tag not in {"style", "iframe", "object", "embed"}, path
                assert not [name for name in attributes if name.startswith("on")], (path, tag)
                assert "style" not in attributes, (path, tag)
                assert tag != "script" or attributes["src"].startswith("/static/"), path
                if tag == "a" and attributes.get("rel") == NOTED:
                    continue
                for name in attributes.keys() & {"href", "src", "action"}:
                    assert is_local(attributes[name]), (path, tag, attributes)


NOTED = "nofollow noopener noreferrer"  # a link that somebody wrote into a note


def is_local(address):
    return not address or address[0] in "?#" or (address[0] == "/" and address[1:2] != "/")


def test_pages_answer_programs_in_json(stranger):
    """Only who asks for HTML gets an error page."""
    answer = stranger.get("/build/99")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not-found")


FOREIGN = (
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://[evil"},
    {"Origin": "http://falconframework.org.evil.example.org"},
    {"Origin": "http://falconframework.org:8080"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)


def test_a_form_of_another_site_is_refused(works, person):
    """Even with the right cookie and token: cancel, rerun, logout and login alike."""
    build = works.build()
    csrf = person.page(f"/build/{build}").csrf
    for headers in FOREIGN:
        for path in (f"/build/{build}/cancel", "/logout", "/login", "/welcome/token"):
            answer = person.post(path, headers=headers, csrf=csrf)
            assert answer.status_code == 403, (path, headers)
    assert person.post(f"/build/{build}/cancel", csrf=csrf).status_code == 303


def test_our_own_forms_are_let_in(works, person):
    """Origin and Sec-Fetch-Site as a browser sends them for our own page."""
    build = works.build()
    headers = {"Origin": "http://falconframework.org", "Sec-Fetch-Site": "same-origin"}
    csrf = person.page(f"/build/{build}").csrf
    assert person.post(f"/build/{build}/cancel", headers=headers, csrf=csrf).status_code == 303


def test_behind_a_proxy_the_configured_address_counts_as_our_own(parts, services, make_browser):
    """A proxy that changes Host must not lock everybody out; other sites stay out."""
    url = "https://ci.example.org"
    app = create_app(services, shipped("templates"), server_name="ci", base_url=url)
    reader = make_browser(app)
    tried = {
        origin: reader.post("/login", headers={"Origin": origin}, name="x").status_code
        for origin in (url, "https://evil.example.org", "https://ci.example.org.evil.org")
    }
    assert list(tried.values()) == [401, 403, 403]


@pytest.mark.parametrize("form", ["cancel", "rerun", "rebuild", "start"])
def test_a_form_needs_the_token_of_its_session(form, works, person, services, admin):
    """Without, or with the token of somebody else, nothing changes."""
    if form == "start":
        given = ManifestSubmission("image: host\ntasks:\n  - work: make\n", execute=False)
        build = services.submissions.submit(admin, given).id
    else:
        build = works.build()
    if form in {"rerun", "rebuild"}:
        services.builds.cancel(admin, build)
    before = services.queries.builds(admin)
    path = f"/build/{build}/{form}"
    for csrf in ("", "x", "\u00e9", person.page("/login").csrf[:-1]):
        assert person.post(path, csrf=csrf).status_code == 403
    assert person.post(path).status_code == 403
    assert services.queries.builds(admin) == before
    page = person.page(f"/build/{build}")
    assert path in {one["action"] for one in page.all("form")}
    done = person.post(path, csrf=page.csrf)
    newest = services.queries.builds(admin).builds[0].id
    assert (done.status_code, done.headers["location"]) == (303, f"/build/{newest}")
    assert (newest == build) is (form != "rebuild")
    assert services.queries.builds(admin) != before


def test_a_stranger_is_asked_to_sign_in(works, browser):
    """401 without a session, and the way to sign in does not lead back to the form's target."""
    build = works.build()
    answer = browser.post(f"/build/{build}/cancel")
    assert answer.status_code == 401
    assert 'href="/login?next=%2F"' in answer.text
    assert "Cancel" not in browser.get(f"/build/{build}").text


def test_a_product_is_saved_and_never_shown(site, person):
    """An attachment of no particular type, sandboxed: a build writes what it likes."""
    build = person.page("/build/1")
    (path,) = [one["href"] for one in build.all("a") if "/product/" in one.get("href", "")]
    answer = person.get(path)
    assert answer.content == HOSTILE.encode()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert policy_of(answer)["default-src"] == "'none'"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_name_of_a_product_cannot_leave_its_header(works, browser):
    """Quotes, line ends and other scripts in a file's name are encoded."""
    lease = works.running()
    works.product(lease, 'out/a";\r\nX-Evil: 1 \u00e9.html')
    works.finish(lease)
    page = browser.page(f"/build/{lease.build_id}")
    (path,) = [one["href"] for one in page.all("a") if "/product/" in one.get("href", "")]
    answer = browser.get(path)
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert "%0D%0A" in answer.headers["content-disposition"]


def test_a_raw_log_is_plain_text(site, person):
    """A browser shows it and runs nothing of it."""
    answer = person.get("/build/1/log/build")
    assert HOSTILE in answer.text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_static_files_are_cached_by_their_version(browser):
    """For ever under the address that pages name, not at all under a guessed one."""
    for tag, attribute in (("script", "src"), ("link", "href")):
        for one in browser.page("/").all(tag):
            answer = browser.get(one[attribute])
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
    assert browser.get("/static/log.js?v=old").headers["cache-control"] == "no-store"
    for path in ("/static/..%2fbase.html", "/static/base.html", "/static/none.js"):
        assert browser.get(path).status_code == 404


def test_head_tells_what_get_would(site, person):
    """The same status and headers without the content, on pages, files and the API."""
    for path in ("/", "/build/1", "/build/1/log/build", "/static/log.js", "/ci/v1/builds", "/none"):
        got = person.get(path)
        head = person.client.simulate_head(path, cookies=person.cookies)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        assert head.headers["content-type"] == got.headers["content-type"]
        assert head.headers["content-length"] == str(len(got.content))
    assert person.client.simulate_head("/logout").status_code == 405
