"""Signing in as Hydra's clients do, and who one is then."""

import pytest
from dialects.hydra.playing import JSON, OURS, PASSWORD, Caller
from support.factories import ADMIN

from ciserver.shipped import shipped
from ciserver.web.app import create_app

ACCEPT = {"Accept": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded", **ACCEPT}
COOKIE = "ciserver_session"
ALICE = {
    "username": "alice",
    "fullname": "Alice Example",
    "emailaddress": "alice@example.org",
    "userroles": ["create-projects", "eval-jobset"],
}


@pytest.fixture
def alice(services):
    services.access.add_user(
        ADMIN, "alice", email="alice@example.org", password=PASSWORD, admin=False
    )
    roles = ("evaluate", "create-projects")
    services.access.change_user(ADMIN, "alice", full_name="Alice Example", roles=roles)


def sign_in(caller, **fields):
    return caller.ask("POST", "/login", {"username": "alice", "password": PASSWORD, **fields})


def test_signing_in(alice, anybody):
    """302 with the account, and a cookie that is a session from then on."""
    answer = sign_in(anybody)
    assert (answer.status_code, answer.headers["location"]) == (302, "/current-user")
    assert answer.json == ALICE
    cookie = answer.cookies[COOKIE]
    assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")
    cookies = {COOKIE: cookie.value}
    assert anybody.get(answer.headers["location"], cookies=cookies) == ALICE


def test_signing_in_by_a_form(alice, anybody):
    """Where JSON is wanted for an answer."""
    body = f"username=alice&password={PASSWORD.replace(' ', '+')}"
    answer = anybody.ask("POST", "/login", body, headers=FORM)
    assert (answer.status_code, answer.json) == (302, ALICE)


def test_a_session_changes_things_from_our_own_pages(alice, anybody):
    """Hydra's clients name it; a token need not."""
    cookies = {COOKIE: sign_in(anybody).cookies[COOKIE].value}
    body = {"displayname": "Nix"}
    status, message = anybody.refusal("PUT", "/project/nix", body, cookies=cookies)
    assert (status, "Origin or Referer" in message) == (403, True)
    foreign = {**JSON, "Origin": "https://evil.example.org"}
    assert anybody.refusal("PUT", "/project/nix", body, cookies=cookies, headers=foreign)[0] == 403
    for number, headers in enumerate(({"Origin": OURS}, {"Referer": f"{OURS}/login"})):
        path = f"/project/nix{number}"
        answer = anybody.ask("PUT", path, body, cookies=cookies, headers={**JSON, **headers})
        assert answer.status_code == 201


FOREIGN = (
    {"Origin": "https://evil.example.org"},
    {"Origin": "null"},
    {"Origin": f"{OURS}.evil.example.org"},
    {"Referer": "https://evil.example.org/login"},
    {"Referer": f"{OURS}.evil.example.org/"},
    {"Referer": OURS.replace("http:", "")},
    {"Sec-Fetch-Site": "cross-site"},
    {},
)


@pytest.mark.parametrize("accept", ["application/json", "text/html", "*/*"])
@pytest.mark.parametrize("path", ["/api/push?jobsets=nix:main", "/job/nix/main/build/star?star=1"])
def test_what_only_this_interface_has_is_no_form(alice, anybody, make, path, accept):
    """With a session a POST there names the page that asks, whatever it is sent as and whatever
    answer is wanted: no page has a form for it. A token needs no page.
    """
    make.build(jobset=make.jobset("nix"))
    cookies = {COOKIE: sign_in(anybody).cookies[COOKIE].value}
    for kind in (JSON, FORM, {"Content-Type": "text/plain"}):
        given = {**kind, "Accept": accept}
        for headers in FOREIGN:
            answer = anybody.ask("POST", path, headers={**given, **headers}, cookies=cookies)
            assert answer.status_code == 403, (kind, headers)
    for headers in ({"Origin": OURS}, {"Referer": f"{OURS}/jobset/nix/main"}):
        given = {**FORM, "Accept": accept, **headers}
        answer = anybody.ask("POST", path, headers=given, cookies=cookies)
        assert answer.status_code == 200, answer.text


def test_a_token_names_no_page(add_user, make):
    """Nobody else's page can send it."""
    make.build(jobset=make.jobset("nix"))
    caller = add_user("bob", roles=("evaluate",))
    assert caller.ask("POST", "/api/push?jobsets=nix:main").status_code == 200
    assert caller.ask("POST", "/job/nix/main/build/star", {"star": 1}).status_code == 200


def test_signing_in_from_a_page_of_another_site(alice, anybody):
    """Nobody is signed in without knowing."""
    for headers in FOREIGN[:3]:
        body = {"username": "alice", "password": PASSWORD}
        answer = anybody.ask("POST", "/login", body, headers={**JSON, **headers})
        assert (answer.status_code, bool(answer.cookies)) == (403, False)


def test_a_form_without_a_wish_for_json(alice, anybody):
    """The field has the name that clients send; the answer is the page's, with a session."""
    body = f"username=alice&password={PASSWORD.replace(' ', '+')}"
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = anybody.ask("POST", "/login", body, headers=plain)
    assert answer.status_code == 303
    cookies = {COOKIE: answer.cookies[COOKIE].value}
    assert anybody.get("/current-user", cookies=cookies) == ALICE


def test_signing_out(alice, anybody):
    """The session is over, on the server too; who has none may sign out as well."""
    cookies = {COOKIE: sign_in(anybody).cookies[COOKIE].value}
    origin = {**JSON, "Origin": OURS}
    answer = anybody.ask("POST", "/logout", cookies=cookies, headers=origin)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.cookies[COOKIE].value == ""
    refused = anybody.refusal("GET", "/current-user", cookies=cookies)
    assert refused == (403, "This page requires you to sign in.")
    assert anybody.ask("POST", "/logout").status_code == 204


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"username": ""}, (400, "You must specify a user name.")),
        ({"username": None}, (400, "You must specify a user name.")),
        ({"username": 5}, (400, "You must specify a user name.")),
        ({"username": "\ud800"}, (400, "You must specify a user name.")),
        ({"password": ""}, (400, "You must specify a password.")),
        ({"password": None}, (400, "You must specify a password.")),
        ({"password": ["x"]}, (400, "You must specify a password.")),
        ({"password": "\udfff"}, (400, "You must specify a password.")),
        ({"password": "wrong"}, (403, "Bad username or password.")),
        ({"username": "nobody"}, (403, "Bad username or password.")),
    ],
)
def test_what_is_refused(alice, anybody, fields, refused):
    """In Hydra's words, without a cookie or a challenge."""
    answer = sign_in(anybody, **fields)
    assert (answer.status_code, answer.json) == (refused[0], {"error": refused[1]})
    assert not answer.cookies
    assert "www-authenticate" not in answer.headers


def test_a_password_is_not_read_from_an_address(alice, anybody):
    """Where logs and histories would keep it."""
    query = f"/login?username=alice&password={PASSWORD.replace(' ', '+')}"
    assert anybody.refusal("POST", query) == (400, "You must specify a user name.")


def test_after_ten_failures(alice, anybody):
    """The right password has to wait, too."""
    for _ in range(10):
        assert sign_in(anybody, password="wrong").status_code == 403
    answer = sign_in(anybody)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "too many failed sign-ins" in answer.json["error"]


def test_who_one_is_by_a_token(add_user, root, anybody):
    """Administrators have a role of that name."""
    assert root.get("/current-user")["userroles"] == ["admin"]
    everything = ("create-projects", "evaluate", "restart", "cancel", "bump")
    assert add_user("bob", roles=everything).get("/current-user")["userroles"] == [
        *("create-projects", "eval-jobset", "restart-jobs", "cancel-build", "bump-to-front")
    ]
    assert anybody.refusal("GET", "/current-user", headers={"Accept": "text/html"})[0] == 403


def test_pages_sign_in_as_before(alice, anybody):
    """A browser's form has other fields and goes on to a page."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    body = f"name=alice&password={PASSWORD.replace(' ', '+')}"
    answer = anybody.ask("POST", "/login", body, headers=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookies = {COOKIE: answer.cookies[COOKIE].value}
    origin = {**form, "Origin": OURS}
    refused = anybody.ask("POST", "/logout", "csrf=wrong", cookies=cookies, headers=origin)
    assert (refused.status_code, refused.headers["content-type"][:9]) == (403, "text/html")


def test_cookies_are_secure_behind_https(services, alice):
    """As those of the page are."""
    base_url = "https://ci.example.org"
    app = create_app(services, shipped("templates"), server_name="ci", base_url=base_url)
    assert sign_in(Caller(app)).cookies[COOKIE].secure
