"""A dialect mounted in the application: its refusals, its proofs, and browsers kept safe."""

import base64

import pytest
from falcon.testing import TestClient

from ciserver.edge.bodies import json_body
from ciserver.edge.dialect import Route
from ciserver.edge.formats import wants_json
from ciserver.edge.proofs import TokenProof, usual_proof
from ciserver.model.errors import NotSignedIn
from ciserver.shipped import shipped
from ciserver.web.app import create_app

PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}
OURS = "http://falconframework.org"


class Thing:
    """Answers with the name of who asks."""

    def on_get(self, req, resp):
        if req.get_param_as_int("number") == 0:
            resp.content_type = "text/plain"
            raise ZeroDivisionError("internal matters")
        resp.media = {"actor": req.context.actor.name}

    def on_post(self, req, resp):
        json_body(req, {"name": "x"})
        resp.media = {"actor": req.context.actor.name}

    on_put = on_delete = on_patch = on_post


class Plain:
    """A dialect that proves and refuses as most do, in words of its own."""

    prefixes = ("/plain",)

    def __init__(self, services, base_url):
        self.base_url = base_url

    def add_routes(self, app):
        app.add_route("/plain/thing", Thing())

    def proof(self, req):
        return usual_proof(req)

    def refuse(self, req, resp, refusal):
        resp.media = {
            "spoken": self.prefixes[0],
            "wrong": refusal.message,
            "kind": refusal.kind,
            "fields": [one.field for one in refusal.complaints],
        }


class Strict(Plain):
    """A dialect beneath the other that takes two words exactly, and refuses by its own rules."""

    prefixes = ("/plain/strict",)

    def add_routes(self, app):
        app.add_route("/plain/strict/thing", Thing())

    def proof(self, req):
        words = (req.get_header("Authorization") or "").split(" ")
        if words == [""]:
            return None
        if len(words) != 2 or words[0] not in {"token", "Bearer"}:
            raise NotSignedIn("no authorization supplied")
        return TokenProof(words[1])

    def refuse(self, req, resp, refusal):
        super().refuse(req, resp, refusal)
        if refusal.status == 401:
            resp.set_header("WWW-Authenticate", "token")
        if refusal.status == 404:
            resp.status = 410


class Shared(Plain):
    """A dialect that has the addresses of the pages, and one of its own."""

    prefixes = ("/shared",)
    shared = (Route("/thing", Thing(), ""),)

    def add_routes(self, app):
        app.add_route("/shared/thing", Thing())

    def speaks(self, req):
        return wants_json(req)


@pytest.fixture
def make_app(services):
    def make(base_url=""):
        return create_app(
            services,
            shipped("templates"),
            server_name="ci",
            base_url=base_url,
            dialects=(Plain, Strict),
            shared=Shared,
        )

    return make


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return TestClient(app)


@pytest.fixture
def ada(app, services, admin, make_browser):
    """The browser of ada, signed in."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=False)
    return make_browser(app).sign_in("ada")


def authorization(text):
    return {"Authorization": text}


def basic(name, password):
    return authorization(f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}")


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/plain", "/plain/", "/plain/none", "/plain/strictly"])
def test_a_dialect_refuses_beneath_its_prefix(client, path):
    """Also where nothing is, and also to a browser."""
    answer = client.simulate_get(path, headers=HTML)
    assert (answer.status_code, answer.json["spoken"]) == (404, "/plain")
    assert answer.headers["content-type"] == "application/json"


def test_the_longest_prefix_refuses_and_may_change_the_status(client):
    """A dialect beneath another is asked alone."""
    answer = client.simulate_get("/plain/strict/none")
    assert (answer.status_code, answer.json["spoken"]) == (410, "/plain/strict")


def test_elsewhere_nobody_but_us_refuses(client):
    """Our own API and pages stay as they are, and so does what only looks like a prefix."""
    for path in ("/plainly", "/plai", "/ci/v1/none", "/hooks/none/x", "/build/99"):
        answer = client.simulate_get(path)
        assert answer.json["error"]["code"] in {"not-found", "http-405"}, path
    assert "There is nothing here" in client.simulate_get("/plainly", headers=HTML).text


def test_a_wrong_method_tells_the_right_ones_in_the_dialect(client):
    """Allow is the framework's, the body the dialect's."""
    answer = client.simulate_request("TRACE", "/plain/thing")
    assert (answer.status_code, answer.json["kind"]) == (405, "http")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_faulty_body_names_every_fault_in_the_dialect(client):
    """The dialect gets the complaints, and writes them as it likes."""
    answer = client.simulate_post("/plain/thing", json={"name": 1, "other": 2})
    assert (answer.status_code, set(answer.json["fields"])) == (400, {"name", "other"})
    assert client.simulate_post("/plain/thing", body="{").json["kind"] == "invalid"


def test_a_crash_is_told_in_the_dialect_and_logged(client, capsys):
    """With an incident and nothing else."""
    answer = client.simulate_get("/plain/thing?number=0")
    assert (answer.status_code, answer.json["kind"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/json"
    assert "internal matters" not in answer.text
    incident = answer.json["wrong"].rsplit(" ", 1)[-1]
    logged = capsys.readouterr().out
    assert incident in logged
    assert "internal matters" in logged


def test_head_is_get_without_a_body_in_a_dialect_too(client):
    """The same status, for what is there and what is not."""
    for path, status in (("/plain/thing", 200), ("/plain/none", 404)):
        answer = client.simulate_head(path)
        assert (answer.status_code, answer.content) == (status, b"")


def test_a_dialect_is_made_with_the_address_of_the_server(services):
    """Its answers hold links."""
    made = []

    def make(services, base_url):
        made.append(Plain(services, base_url))
        return made[0]

    url = "https://ci.example.org"
    create_app(services, shipped("templates"), server_name="ci", base_url=url, dialects=(make,))
    assert [one.base_url for one in made] == [url]


# -- addresses that it shares with the pages ------------------------------------------------------


def test_a_shared_dialect_refuses_who_speaks_it(client):
    """At the address of a page, one that is there or not; people get the page."""
    for path in ("/build/99", "/nothing"):
        spoken = client.simulate_get(path, headers=JSON | HTML)
        assert (spoken.status_code, spoken.json["spoken"]) == (404, "/shared")
        page = client.simulate_get(path, headers=HTML)
        assert (page.status_code, page.headers["content-type"][:9]) == (404, "text/html")


def test_a_shared_dialect_refuses_at_its_own_addresses_without_being_spoken(client):
    """There is no page to show."""
    answer = client.simulate_get("/shared/none", headers=HTML)
    assert (answer.status_code, answer.json["spoken"]) == (404, "/shared")


def test_a_shared_dialect_has_nothing_of_the_api_and_of_other_dialects(client):
    """However loudly it is spoken."""
    assert "error" in client.simulate_get("/ci/v1/none", headers=JSON).json
    assert client.simulate_get("/plain/none", headers=JSON).json["spoken"] == "/plain"


# -- proofs ---------------------------------------------------------------------------------------


def test_the_proof_of_a_dialect_names_the_actor(client, make_token, services, admin):
    """A token in any usual way, or a name and a password; nobody without a proof."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=False)
    token = make_token("builds:read")
    user = services.access.actor_of_token(token).name
    for headers, name in (
        ({}, ""),
        (authorization(f"Bearer {token}"), user),
        (basic(token, ""), user),
        (basic("ada", token), user),
        (basic("ada", PASSWORD), "ada"),
    ):
        answer = client.simulate_get("/plain/thing", headers=headers)
        assert (answer.status_code, answer.json) == (200, {"actor": name}), headers


def test_the_token_of_this_machine_is_a_proof(parts, client):
    """It has no prefix that tells it from a password."""
    for headers in (authorization(f"Bearer {parts.local_token}"), basic("", parts.local_token)):
        assert client.simulate_get("/plain/thing", headers=headers).json["actor"] == "administrator"


@pytest.mark.parametrize(
    "headers",
    [
        authorization("Bearer cis_wrong"),
        authorization("Bearer"),
        authorization("Basic"),
        authorization("Basic ==="),
        basic("", ""),
        basic("ada", "wrong"),
        basic("nobody", PASSWORD),
        basic("ada", "cis_wrong"),
    ],
    ids=str,
)
def test_a_wrong_proof_is_refused_in_the_dialect(client, services, admin, headers):
    """Even where none is needed, and it says what would do."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=False)
    answer = client.simulate_get("/plain/thing", headers=headers)
    assert (answer.status_code, answer.json["spoken"]) == (401, "/plain")
    assert answer.headers["www-authenticate"] == 'Bearer, Basic realm="ciserver"'


def test_a_dialect_picks_the_proofs_that_it_takes(client, make_token):
    """What another takes is refused, with the dialect's own challenge."""
    token = make_token("builds:read")
    for good in (f"Bearer {token}", f"token {token}"):
        answer = client.simulate_get("/plain/strict/thing", headers=authorization(good))
        assert answer.status_code == 200, good
    for bad in (f"Token {token}", f"bearer {token}", f"Bearer  {token}", "token"):
        answer = client.simulate_get("/plain/strict/thing", headers=authorization(bad))
        assert (answer.status_code, answer.json["spoken"]) == (401, "/plain/strict"), bad
        assert answer.headers["www-authenticate"] == "token"
    refused = client.simulate_get("/plain/strict/thing", headers=basic("x", token))
    assert (refused.status_code, refused.json["wrong"]) == (401, "no authorization supplied")


def test_our_own_api_takes_a_password_and_asks_for_a_token(client, services, admin):
    """Without a challenge that makes a browser open a window of its own."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=True)
    known = client.simulate_get("/ci/v1/users", headers=basic("ada", PASSWORD))
    assert known.status_code == 200
    for path, accept in (("/ci/v1/users", "*/*"), ("/build/1", "text/html")):
        answer = client.simulate_get(path, headers=basic("ada", "wrong") | {"Accept": accept})
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_hook_is_proved_by_its_signature_alone(client):
    """A wrong password there is nobody's business."""
    answer = client.simulate_post("/hooks/generic/none", headers=basic("ada", "wrong"))
    assert answer.status_code == 403


# -- sessions -------------------------------------------------------------------------------------


def change(browser, path, method="POST", **headers):
    return browser.client.simulate_request(
        method, path, headers=JSON | headers, body="{}", cookies=browser.cookies
    )


def test_a_session_reads_in_a_dialect(ada):
    """A link on a page may lead there."""
    assert ada.get("/plain/thing").json == {"actor": "ada"}


@pytest.mark.parametrize("path", ["/plain/thing", "/thing", "/shared/thing"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_session_changes_things_in_a_dialect_only_from_our_pages(ada, path, method):
    """A dialect has no token in a form, so the browser must name the page that asks."""
    for headers in ({}, {"Referer": ""}, {"Referer": "http://evil.example.org/"}):
        answer = change(ada, path, method, **headers)
        assert (answer.status_code, answer.json["kind"]) == (403, "forbidden"), headers
    for headers in ({"Referer": f"{OURS}/build/1"}, {"Origin": OURS}):
        answer = change(ada, path, method, **headers)
        assert (answer.status_code, answer.json) == (200, {"actor": "ada"}), headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Referer": "http://falconframework.org.evil.example.org/"},
        {"Referer": "http://evil.example.org/http://falconframework.org/"},
        {"Referer": "http://falconframework.org@evil.example.org/"},
        {"Origin": "null", "Referer": f"{OURS}/"},
        {"Origin": "http://evil.example.org", "Referer": f"{OURS}/"},
        {"Sec-Fetch-Site": "cross-site", "Referer": f"{OURS}/"},
    ],
    ids=str,
)
def test_a_page_of_another_site_changes_nothing(ada, headers):
    """Whatever it can make the browser say."""
    assert change(ada, "/plain/thing", **headers).status_code == 403


def test_behind_a_proxy_the_configured_address_is_our_own(make_app, services, admin, make_browser):
    """As it is for forms."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=False)
    browser = make_browser(make_app("https://ci.example.org")).sign_in("ada")
    for referer, status in (("https://ci.example.org/", 200), ("https://evil.example.org/", 403)):
        assert change(browser, "/plain/thing", Referer=referer).status_code == status


def test_a_program_needs_to_name_no_page(client, make_token, services, admin):
    """No page can make a browser send a token; and a stranger has nothing to abuse."""
    services.access.add_user(admin, "ada", email="", password=PASSWORD, admin=False)
    proofs = (authorization(f"Bearer {make_token('*')}"), basic("ada", PASSWORD), {})
    for path in ("/plain/thing", "/thing"):
        for proof in proofs:
            answer = client.simulate_post(path, headers=proof | JSON, body="{}")
            assert answer.status_code == 200, (path, proof)


def test_a_token_goes_before_a_session(ada, make_token, services):
    """A program that keeps cookies needs to name no page either."""
    token = make_token("builds:read")
    answer = change(ada, "/plain/thing", **authorization(f"Bearer {token}"))
    assert answer.json == {"actor": services.access.actor_of_token(token).name}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_what_no_form_can_send_names_its_page_everywhere(ada, method):
    """Whatever type it has, at the address of a page."""
    for headers, status in (({}, 403), ({"Referer": f"{OURS}/"}, 200)):
        answer = ada.client.simulate_request(
            method, "/thing", headers=HTML | headers, cookies=ada.cookies
        )
        assert answer.status_code == status


def test_forms_of_pages_keep_their_own_rule(ada):
    """The token of the session is enough, as before; without it the page refuses."""
    assert ada.post("/logout").status_code == 403
    assert ada.post("/logout", csrf=ada.page("/").csrf).status_code == 303
