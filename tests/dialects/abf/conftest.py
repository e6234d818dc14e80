"""A product whose lists run scripts of a real repository, and clients that ask about it."""

import pytest
from dialects.abf.playing import PARAMS, PASSWORD, Client
from support.factories import Factory
from support.prepared import add_account
from support.repositories import Repository

from ciserver.machine import native_system
from ciserver.model.account import Visibility
from ciserver.model.project import Input, JobsetSettings, ProjectSettings, ScriptDefaults

SCRIPT = ScriptDefaults("MATRIX", PARAMS, 60)


@pytest.fixture
def add_user(parts, services, admin):
    def add(name, **changes):
        add_account(parts, name, PASSWORD, email=f"{name}@example.org")
        services.access.change_user(admin, name, **changes)
        return name

    return add


@pytest.fixture
def make_token(services, admin):
    return lambda name, *scopes: services.access.add_token(admin, name, scopes, None)[0]


@pytest.fixture
def make_client(parts):
    return lambda *pair: Client(parts.app, *pair)


@pytest.fixture
def anybody(make_client):
    return make_client()


@pytest.fixture
def ivan(make_client, add_user, make_token):
    """The owner of the product."""
    return make_client(make_token(add_user("ivan", full_name="Ivan Aivazovsky"), "*"))


@pytest.fixture
def olga(make_client, add_user, make_token):
    """A user without any right in the project."""
    return make_client(make_token(add_user("olga"), "*"))


@pytest.fixture
def commit(repository):
    """The newest commit of the repository, on its branch and under a tag."""
    made = repository.commit({"MATRIX": "echo $lst\n", "other.sh": "exit 6\n"}, "Add a script")
    repository.push()
    return made


@pytest.fixture
def put_product(services, admin, ivan):
    """Makes or changes a product of ivan."""

    def put(uri, name="rosa2012lts_ee", project="evil_tools", **settings):
        visibility = settings.pop("visibility", Visibility.PUBLIC)
        about = ProjectSettings(description="Tools", visibility=visibility)
        services.projects.put_project(admin, project, about, owner="ivan")
        given = {"description": "Extended Edition", "script": SCRIPT} | settings
        inputs = (Input("source", str(uri)),)
        return services.jobsets.put(admin, project, name, JobsetSettings(**given), inputs)[0]

    return put


@pytest.fixture
def product(put_product, repository, commit):
    return put_product(repository.bare)


@pytest.fixture
def hidden(put_product, tmp_path):
    """A product of a private project with a repository of its own."""
    secret = Repository(tmp_path / "repositories", "secret")
    secret.commit({"MATRIX": "true\n"})
    secret.push()
    return put_product(secret.bare, "hidden", "secrets", visibility=Visibility.PRIVATE)


@pytest.fixture
def create(ivan, product, commit):
    """Asks for a list as ivan; answers its id."""

    def make(**fields):
        given = {"product_id": product.id, "commit_hash": commit} | fields
        answer = ivan.create(**given)
        assert answer.status_code == 200, answer.text
        return answer.json["product_build_list"]["id"]

    return make


@pytest.fixture
def factory(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def arch(services):
    return next(one for one in services.lists.systems() if one.name == native_system())
