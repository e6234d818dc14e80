"""Hydra's clients in front of one application, and what its manual shows behind it."""

from dataclasses import replace

import pytest
from dialects.hydra.playing import Caller, Farm
from support.factories import ADMIN, Factory

from ciserver.model.account import Visibility


@pytest.fixture
def make(parts, clock):
    return Factory(parts, clock)


@pytest.fixture
def add_user(parts, services, clock):
    """A client with an account and a token of these scopes, or of all."""

    def add_user(name, *scopes, admin=False, roles=(), expires_at=None):
        with parts.store.transaction():
            parts.store.accounts.add(
                name, email="", password_hash="", is_admin=admin, now=clock.now()
            )
        services.access.change_user(ADMIN, name, roles=roles)
        token, _ = services.access.add_token(ADMIN, name, scopes or ("*",), expires_at)
        return Caller(parts.app, token)

    return add_user


@pytest.fixture
def anybody(parts):
    """A client without a proof."""
    return Caller(parts.app)


@pytest.fixture
def eelco(add_user):
    """Who may make projects, and makes them."""
    return add_user("eelco", roles=("create-projects",))


@pytest.fixture
def root(add_user):
    return add_user("root", admin=True)


@pytest.fixture
def set_visibility(store):
    def change(project, visibility=Visibility.PRIVATE):
        found = store.projects.get(project)
        settings = replace(found.settings, visibility=visibility)
        with store.transaction():
            store.projects.change(found.id, found.name, found.owner, settings)

    return change


@pytest.fixture
def farm(parts, clock):
    made = Farm(parts, clock)
    made.users("sander", "simons", "eelco")
    made.project(
        "acoda",
        "sander",
        ["trunk"],
        display_name="Acoda",
        description="Acoda is a tool set for automatic data migration",
        enabled=False,
        hidden=True,
    )
    made.project("cabal2nix", "simons", ["master"], display_name="cabal2nix", enabled=False)
    made.project(
        "hydra",
        "eelco",
        ["hydra-master", "hydra-ant-logger-trunk", "master"],
        display_name="Hydra",
        description="Hydra, the Nix-based continuous build system",
    )
    return made
