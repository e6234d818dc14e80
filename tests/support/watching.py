"""Repositories that a server watches, with its hook in them."""

import json

from ciserver.git import hook
from ciserver.shipped import shipped
from support.repositories import Repository


def watched_repository(server, place, name, **more):
    """A repository `project` that the server watches under that name, with the hook in it."""
    repository = Repository(place)
    wanted = {"name": name, "uri": str(repository.bare), "local": True, **more}
    answer = server.request("POST", "/ci/v1/projects", json=wanted)
    assert answer.status == 201, answer.data
    made = json.loads(answer.data)
    script = shipped("hooks") / "post-receive"
    hook.install(repository.bare, script=script, url=made["hook_url"], secret=made["hook_secret"])
    return repository
