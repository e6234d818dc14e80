"""All services of one server, as the doors get them."""

from ciserver.model.frozen import frozen
from ciserver.model.ports import Clock, Engine
from ciserver.service.access import Access
from ciserver.service.build_details import BuildDetails
from ciserver.service.build_logs import BuildLogs
from ciserver.service.builds import Builds
from ciserver.service.comparisons import Comparisons
from ciserver.service.deliveries import Deliveries
from ciserver.service.diffs import Diffs
from ciserver.service.dumps import Dumps
from ciserver.service.evaluation_acts import EvaluationActs
from ciserver.service.evaluation_lists import EvaluationLists
from ciserver.service.evaluations import Evaluations
from ciserver.service.fleet import Fleet
from ciserver.service.groups import Groups
from ciserver.service.job_groups import JobGroups
from ciserver.service.jobs import Jobs
from ciserver.service.jobsets import Jobsets
from ciserver.service.keeping import Keeping
from ciserver.service.known_refs import KnownRefs
from ciserver.service.label_lists import LabelLists
from ciserver.service.leases import Leases
from ciserver.service.lists import Lists
from ciserver.service.log_keeping import LogKeeping
from ciserver.service.logs import Logs
from ciserver.service.nodes import Nodes
from ciserver.service.pauses import Pauses
from ciserver.service.polls import Polls
from ciserver.service.product_files import ProductFiles
from ciserver.service.projects import Projects
from ciserver.service.pushes import Pushes
from ciserver.service.queries import Queries
from ciserver.service.remote_work import RemoteWork
from ciserver.service.renames import Renames
from ciserver.service.reproduction import Reproduction
from ciserver.service.requests import Requests
from ciserver.service.resubmissions import Resubmissions
from ciserver.service.rights import Rights
from ciserver.service.schedules import Schedules
from ciserver.service.script_products import ScriptProducts
from ciserver.service.search import Search
from ciserver.service.secrets import Secrets
from ciserver.service.source_builds import SourceBuilds
from ciserver.service.source_projects import SourceProjects
from ciserver.service.status import Status
from ciserver.service.storage import Storage
from ciserver.service.stored_files import StoredFiles
from ciserver.service.submissions import Submissions
from ciserver.service.systems import Systems
from ciserver.service.timings import Timings
from ciserver.service.uploads import Uploads
from ciserver.service.webhook_keys import WebhookKeys
from ciserver.service.workers import Workers


@frozen
class Services:
    clock: Clock
    access: Access
    rights: Rights
    projects: Projects
    jobsets: Jobsets
    renames: Renames
    pushes: Pushes
    evaluations: Evaluations
    evaluation_acts: EvaluationActs
    evaluation_lists: EvaluationLists
    comparisons: Comparisons
    diffs: Diffs
    builds: Builds
    leases: Leases
    deliveries: Deliveries
    logs: Logs
    build_logs: BuildLogs
    build_details: BuildDetails
    reproduction: Reproduction
    product_files: ProductFiles
    queries: Queries
    keeping: Keeping
    log_keeping: LogKeeping
    storage: Storage
    stored_files: StoredFiles
    known_refs: KnownRefs
    lists: Lists
    label_lists: LabelLists
    jobs: Jobs
    schedules: Schedules
    secrets: Secrets
    submissions: Submissions
    resubmissions: Resubmissions
    script_products: ScriptProducts
    source_builds: SourceBuilds
    source_projects: SourceProjects
    groups: Groups
    job_groups: JobGroups
    requests: Requests
    polls: Polls
    pauses: Pauses
    status: Status
    search: Search
    systems: Systems
    uploads: Uploads
    dumps: Dumps
    timings: Timings
    webhook_keys: WebhookKeys
    workers: Workers
    fleet: Fleet
    nodes: Nodes
    remote_work: RemoteWork

    def run_on(self, engine: Engine) -> None:
        self.builds.run_on(engine)
        self.queries.run_on(engine)
        self.status.run_on(engine)
