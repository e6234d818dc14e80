"""Old addresses lead to the new ones: pages, JSON, hooks and what lies beneath."""

import hashlib
import hmac
import json

import pytest
from support.factories import ADMIN, Factory

from ciserver.model.account import Visibility
from ciserver.model.project import JobsetSettings, ProjectSettings

JSON, HTML = {"Accept": "application/json"}, {"Accept": "text/html"}


@pytest.fixture
def renamed(services, parts, clock):
    """`old:was` is `new:is` now."""
    made = Factory(parts, clock)
    made.project("old", jobset="was")
    services.jobsets.put(ADMIN, "old", "was", JobsetSettings(), (), new_name="is")
    kept = services.rights.project(ADMIN, "old").settings
    services.projects.put_project(ADMIN, "old", kept, new_name="new")
    return made


@pytest.mark.parametrize("headers", [HTML, JSON])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/project/old", "/project/new"),
        ("/jobset/old/was", "/jobset/new/is"),
        ("/jobset/new/was", "/jobset/new/is"),
        ("/jobset/old/is", "/jobset/new/is"),
        ("/project/old/latest/log/a%2Fb", "/project/new/latest/log/a%2Fb"),
        ("/jobset/old/was/latest-for/x86_64-linux", "/jobset/new/is/latest-for/x86_64-linux"),
        ("/jobset/old/was/all", "/jobset/new/is/all"),
        ("/job/old/was/old", "/job/new/is/old"),
        ("/job/old/was/a%2Fb/latest?x=%0d%0a&y=z", "/job/new/is/a%2Fb/latest?x=%0d%0a&y=z"),
        ("/ci/v1/projects/old", "/ci/v1/projects/new"),
        ("/ci/v1/projects/old/jobsets/was", "/ci/v1/projects/new/jobsets/is"),
    ],
)
def test_an_old_address_leads_to_the_new_one(renamed, browser, old, new, headers):
    """With all that follows in it, for GET and HEAD."""
    path, _, query = old.partition("?")
    for method in ("GET", "HEAD"):
        answer = browser.client.simulate_request(method, path, query_string=query, headers=headers)
        assert (answer.status_code, answer.headers.get("location")) == (301, new)


def test_a_list_keeps_its_page(renamed, browser):
    """What a query says goes with it."""
    query = {"path": "/jobset/old/was/evals", "query_string": "page=2", "headers": JSON}
    answer = browser.client.simulate_get(**query)
    moved = (301, "/jobset/new/is/evals?page=2")
    assert (answer.status_code, answer.headers["location"]) == moved


@pytest.mark.parametrize("path", ["/project/other", "/jobset/new/other", "/jobset/old", "/old"])
def test_what_never_was_is_not_there(renamed, browser, path):
    """And it stays as it is told."""
    assert browser.get(path).status_code == 404


@pytest.mark.parametrize(("method", "status"), [("POST", 405), ("DELETE", 404), ("PUT", 403)])
def test_only_reading_is_led_on(renamed, browser, method, status):
    """A change at an old name is a mistake."""
    answer = browser.client.simulate_request(method, "/project/old")
    assert (answer.status_code, answer.headers.get("location")) == (status, None)


def test_who_may_not_see_it_is_led_nowhere(renamed, services, browser):
    """It is as if it had never been."""
    settings = ProjectSettings(visibility=Visibility.PRIVATE)
    services.projects.put_project(ADMIN, "new", settings)
    for path in ("/project/old", "/jobset/old/was", "/project/new"):
        assert browser.get(path).status_code == 404


def test_a_hook_of_the_old_name_works(services, browser):
    """Forges follow no redirect of what they post."""
    secret = services.projects.watch(ADMIN, "old", "https://example.org/x.git").hook_secret
    kept = services.rights.project(ADMIN, "old").settings
    services.projects.put_project(ADMIN, "old", kept, new_name="new")
    body = json.dumps(
        {
            "ref": "refs/heads/main",
            "before": "0" * 40,
            "after": "1" * 40,
            "repository": {"clone_url": "https://example.org/x.git"},
            "pusher": {"login": "ada"},
            "commits": [],
        }
    )
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Gitea-Event": "push",
        "X-Gitea-Delivery": "a",
        "X-Gitea-Signature": signature,
    }
    for name in ("old", "new"):
        answer = browser.client.simulate_post(f"/hooks/gitea/{name}", body=body, headers=headers)
        assert answer.status_code == 202, answer.text
    (jobset,) = services.queries.project(ADMIN, "new").jobsets
    assert jobset.latest.number == 1
