"""The interface of Fedora Copr at /api_2, which its clients of that time speak.

A Copr project is a jobset, a Copr build is a group of builds of one job over its systems, and a
build task is one build of ours.
"""

from typing import Any, TypeAlias

import falcon

from ciserver.dialects.copr.chroots import MockChroots, ProjectChroots
from ciserver.dialects.copr.resources import Builds, BuildTasks, Projects, Root
from ciserver.dialects.copr.show import PREFIX
from ciserver.edge.proofs import Proof, usual_proof
from ciserver.edge.refusals import Refusal
from ciserver.model.errors import AlreadyExists
from ciserver.service.services import Services

App: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"
_HINTS = {"unauthenticated": "login and token are a user's name and a token: ciserver token add"}


class Copr:
    prefixes = (PREFIX,)

    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._base_url = base_url

    def add_routes(self, app: App) -> None:
        given = (self._services, self._base_url)
        root, tasks, builds = Root(), BuildTasks(*given), Builds(*given)
        projects, chroots = Projects(*given), ProjectChroots(*given)
        systems = MockChroots(*given)
        app.add_route(PREFIX, root, suffix="moved")
        app.add_route(f"{PREFIX}/", root)
        app.add_route(f"{PREFIX}/build_tasks", tasks)
        app.add_route(f"{PREFIX}/builds_tasks", tasks)  # as Copr's documents have it
        app.add_route(f"{PREFIX}/build_tasks/{{build_id}}/{{name}}", tasks, suffix="one")
        app.add_route(f"{PREFIX}/builds", builds)
        app.add_route(f"{PREFIX}/builds/{{build_id}}", builds, suffix="one")
        app.add_route(f"{PREFIX}/projects", projects)
        app.add_route(f"{PREFIX}/projects/{{project_id}}", projects, suffix="one")
        app.add_route(f"{PREFIX}/projects/{{project_id}}/chroots", chroots)
        app.add_route(f"{PREFIX}/projects/{{project_id}}/chroots/{{name}}", chroots, suffix="one")
        app.add_route(f"{PREFIX}/mock_chroots", systems)
        app.add_route(f"{PREFIX}/mock_chroots/{{name}}", systems, suffix="one")

    def proof(self, req: falcon.Request) -> Proof | None:
        """Copr's pair of login and token is a pair of user and API token here."""
        return usual_proof(req)

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        """A message, and data where a program can use it. No challenge: Copr has none."""
        resp.delete_header("WWW-Authenticate")
        if refusal.kind == "conflict" and refusal.code != AlreadyExists.code:
            resp.status = falcon.HTTP_400
        data: dict[str, Any] = dict(refusal.details)
        if refusal.complaints:
            data["error"] = "; ".join(map(str, refusal.complaints))
        hint = refusal.hint or _HINTS.get(refusal.kind)
        message = f"{refusal.message}; {hint}" if hint else refusal.message
        resp.media = {"message": message, "data": data} if data else {"message": message}
