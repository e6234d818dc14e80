"""Signing in and out: passwords, one-time links, cookies and where one is sent afterwards."""

from ciserver.shipped import shipped
from ciserver.web.app import create_app

PASSWORD = "correct horse battery"
COOKIE = "ciserver_session"


def add_user(services, admin, name="ada"):
    services.access.add_user(admin, name, email="", password=PASSWORD, admin=False)
    return name


def test_a_person_signs_in_and_out(services, admin, browser):
    """The session ends at the server: a kept cookie is worth nothing afterwards."""
    add_user(services, admin)
    answer = browser.post("/login", name="ada", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = browser.page("/")
    assert "ada" in page.text
    kept = dict(browser.cookies)
    assert browser.post("/logout", csrf="wrong").status_code == 403
    assert browser.post("/logout", csrf=page.csrf).status_code == 303
    assert COOKIE not in browser.cookies
    browser.cookies = kept
    assert "Sign in" in browser.page("/").text


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(
    parts, services, admin, make_browser
):
    """HttpOnly and SameSite always; Secure when people reach the server by https."""
    add_user(services, admin)
    for base_url, is_secure in (("", False), ("https://ci.example.org", True)):
        app = create_app(services, shipped("templates"), server_name="ci", base_url=base_url)
        answer = make_browser(app).post("/login", name="ada", password=PASSWORD)
        cookie = answer.cookies[COOKIE]
        assert (cookie.http_only, cookie.same_site, cookie.path) == (True, "Lax", "/")
        assert bool(cookie.secure) is is_secure
        assert cookie.max_age == 14 * 24 * 3600
        assert len(cookie.value) >= 43


def test_each_sign_in_is_a_session_of_its_own(services, admin, browser):
    """A session id known before the sign-in is not the one after it."""
    add_user(services, admin)
    browser.cookies[COOKIE] = "chosen-by-somebody-else"
    browser.sign_in("ada")
    first = browser.cookies[COOKIE]
    browser.sign_in("ada")
    assert len({first, browser.cookies[COOKIE], "chosen-by-somebody-else"}) == 3


def test_a_session_ends_by_itself(services, admin, browser, clock):
    """After two weeks the person is a stranger, not an error."""
    add_user(services, admin)
    browser.sign_in("ada")
    clock.forward(days=14, seconds=1)
    assert "Sign in" in browser.page("/").text


def test_wrong_names_and_wrong_passwords_look_alike(services, admin, browser):
    """The page does not tell who has an account."""
    add_user(services, admin)
    wrong = browser.post("/login", name="ada", password="not it")
    unknown = browser.post("/login", name="eve", password="not it")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("ada", "eve") == unknown.text
    assert COOKIE not in browser.cookies
    assert browser.post("/login").status_code == 401


def test_too_many_failures_close_the_name_for_a_while(services, admin, browser, clock):
    """The eleventh try is 503 even with the right password; others sign in, and time heals."""
    add_user(services, admin)
    add_user(services, admin, "grace")
    for _ in range(10):
        assert browser.post("/login", name="ada", password="guess").status_code == 401
    assert browser.post("/login", name="ada", password=PASSWORD).status_code == 503
    assert browser.post("/login", name="grace", password=PASSWORD).status_code == 303
    clock.forward(minutes=5, seconds=1)
    assert browser.post("/login", name="ada", password=PASSWORD).status_code == 303


FOREIGN = (
    "https://evil.example.org",
    "//evil.example.org",
    "///evil.example.org",
    "/\\evil.example.org",
    "\\\\evil.example.org",
    "%2f%2fevil.example.org",
    "/%2fevil.example.org",
    "%252f%252fevil.example.org",
    "/%252fevil.example.org",
    "/%5cevil.example.org",
    "/\t/evil.example.org",
    "/\n/evil.example.org",
    "/x\r\nSet-Cookie: a=b",
    "/x%0d%0aSet-Cookie:%20a=b",
    "/x%00",
    "/ /evil.example.org",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example.org",
    "@evil.example.org",
    "?//evil.example.org",
    "",
)


def test_nobody_is_sent_away_after_signing_in(services, admin, browser):
    """Whatever stands in `next`, the way leads to this server, in the form and after it."""
    add_user(services, admin)
    for text in FOREIGN:
        shown = browser.get("/login", params={"next": text})
        assert 'name="next" value="/"' in shown.text, text
    for text in FOREIGN[::3]:  # the same rule again, but each sign-in takes its time
        answer = browser.post("/login", name="ada", password=PASSWORD, next=text)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), text
        assert "set-cookie: a" not in str(answer.headers).lower()


def test_signing_in_leads_back_to_the_page(services, admin, works, browser):
    """The link on each page brings the person back to it, query and all."""
    add_user(services, admin)
    works.build()
    page = browser.page("/build/1?attempt=1")
    (link,) = [one["href"] for one in page.all("a") if one["href"].startswith("/login")]
    form = browser.page(link)
    following = next(one["value"] for one in form.all("input") if one.get("name") == "next")
    answer = browser.post("/login", name="ada", password=PASSWORD, next=following)
    assert answer.headers["location"] == "/build/1?attempt=1"


def test_the_sign_in_page_does_not_lead_to_itself(browser):
    """No link to sign in stands on it, whatever its address carries."""
    for path in ("/login", "/login?next=%2Fqueue"):
        assert not [one for one in browser.page(path).all("a") if "/login" in one["href"]]


# -- one-time links -------------------------------------------------------------------------------


def test_a_welcome_link_works_once(services, browser, make_browser, parts):
    """It sets the password and signs in; looking at it, as mail scanners do, uses nothing up."""
    link = "/welcome/" + services.access.make_first_administrator().rsplit("/", 1)[-1]
    assert "admin" in browser.page(link).text
    assert browser.page(link).all("form")
    answer = browser.post(link, password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "admin" in browser.page("/").text
    other = make_browser(parts.app)
    assert other.get(link).status_code == 404
    assert other.post(link, password="another password").status_code == 404
    other.sign_in("admin", PASSWORD)


def test_a_bad_password_does_not_use_the_link_up(services, browser):
    """The page says what is wrong and takes another one."""
    link = f"/welcome/{services.access.make_first_administrator()}"
    refused = browser.post(link, password="short")
    assert refused.status_code == 400
    assert "at least 8 characters" in refused.text
    assert browser.post(link, password=PASSWORD).status_code == 303


def test_a_welcome_link_grows_old(services, browser, clock):
    """After a day it is as unknown as a made-up one."""
    link = f"/welcome/{services.access.make_first_administrator()}"
    clock.forward(hours=24, seconds=1)
    old, made_up = browser.get(link), browser.get("/welcome/made-up")
    assert old.status_code == made_up.status_code == 404


def test_the_log_does_not_tell_a_welcome_link(services, browser, capsys):
    """Not even at its most talkative: whoever reads the log could sign in with it."""
    token = services.access.make_first_administrator()
    browser.get(f"/welcome/{token}")
    logged = capsys.readouterr().out
    assert "/welcome/" in logged
    assert token not in logged
