"""Architectures that administrators keep: listed while active, and refused otherwise."""

from ciserver.machine import native_system

ARCHES, LISTS = "/api/v1/arches.json", "/api/v1/product_build_lists.json"
HERE, ARM = native_system(), "aarch64-linux"


def post(client, **given):
    body = {"product_id": 1, "project_version": "main", **given}
    return client.ask("POST", LISTS, {"product_build_list": body})


def test_an_architecture_that_is_not_active(ivan, anybody, product, services, admin):
    """It is not listed, and nothing new is made for it; its earlier lists keep its number."""
    arm = services.systems.add(admin, ARM)
    names = [one["name"] for one in anybody.get(ARCHES).json["architectures"]]
    assert names == [HERE.removesuffix("-linux"), "aarch64"]
    made = post(ivan, arch_id=arm.id)
    assert made.status_code == 200, made.text
    services.systems.change(admin, ARM, active=False)
    names = [one["name"] for one in anybody.get(ARCHES).json["architectures"]]
    assert names == [HERE.removesuffix("-linux")]
    refused = post(ivan, arch_id=arm.id)
    assert refused.status_code == 422
    assert "Arch aarch64-linux is not active" in refused.json["product_build_list"]["message"]
    number = made.json["product_build_list"]["id"]
    shown = ivan.get(f"/api/v1/product_build_lists/{number}.json").json["product_build_list"]
    assert shown["arch"] == {"id": arm.id, "name": "aarch64"}


def test_the_architecture_that_nobody_named(ivan, product, services, admin):
    """The server's own is refused likewise."""
    services.systems.change(admin, HERE, active=False)
    assert post(ivan).status_code == 422
    services.systems.change(admin, HERE, active=True)
    assert post(ivan).status_code == 200
