"""All services of one server, as the doors get them."""

from dataclasses import dataclass

from ciserver.model.ports import Clock, Engine
from ciserver.service.access import Access
from ciserver.service.builds import Builds
from ciserver.service.deliveries import Deliveries
from ciserver.service.evaluations import Evaluations
from ciserver.service.lists import Lists
from ciserver.service.logs import Logs
from ciserver.service.pauses import Pauses
from ciserver.service.polls import Polls
from ciserver.service.projects import Projects
from ciserver.service.pushes import Pushes
from ciserver.service.queries import Queries
from ciserver.service.requests import Requests
from ciserver.service.rights import Rights
from ciserver.service.schedules import Schedules
from ciserver.service.submissions import Submissions


@dataclass(frozen=True)
class Services:
    clock: Clock
    access: Access
    rights: Rights
    projects: Projects
    pushes: Pushes
    evaluations: Evaluations
    builds: Builds
    deliveries: Deliveries
    logs: Logs
    queries: Queries
    lists: Lists
    schedules: Schedules
    submissions: Submissions
    requests: Requests
    polls: Polls
    pauses: Pauses

    def run_on(self, engine: Engine) -> None:
        self.builds.run_on(engine)
        self.queries.run_on(engine)
