"""All services of one server, as the doors get them."""

from dataclasses import dataclass

from ciserver.model.ports import Clock, Engine
from ciserver.service.access import Access
from ciserver.service.builds import Builds
from ciserver.service.deliveries import Deliveries
from ciserver.service.evaluations import Evaluations
from ciserver.service.logs import Logs
from ciserver.service.projects import Projects
from ciserver.service.pushes import Pushes
from ciserver.service.queries import Queries
from ciserver.service.schedules import Schedules


@dataclass(frozen=True)
class Services:
    clock: Clock
    access: Access
    projects: Projects
    pushes: Pushes
    evaluations: Evaluations
    builds: Builds
    deliveries: Deliveries
    logs: Logs
    queries: Queries
    schedules: Schedules

    def run_on(self, engine: Engine) -> None:
        self.builds.run_on(engine)
        self.queries.run_on(engine)
