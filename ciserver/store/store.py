"""All shelves of the store, opened together over one data directory."""

from pathlib import Path

from ciserver.store.accounts import Accounts
from ciserver.store.attempts import Attempts
from ciserver.store.build_history import BuildHistory
from ciserver.store.builds import Builds
from ciserver.store.caches import Caches
from ciserver.store.checks import Checks
from ciserver.store.claims import Claims
from ciserver.store.database import Database
from ciserver.store.ended import Ended
from ciserver.store.evaluation_lists import EvaluationLists
from ciserver.store.evaluations import Evaluations
from ciserver.store.files import Files
from ciserver.store.filtered import Filtered
from ciserver.store.gates import Gates
from ciserver.store.history import History
from ciserver.store.incoming import Incoming
from ciserver.store.job_groups import JobGroups
from ciserver.store.jobs import Jobs
from ciserver.store.jobsets import Jobsets
from ciserver.store.keeping import Keeping
from ciserver.store.keys import Keys
from ciserver.store.label_lists import LabelLists
from ciserver.store.labels import Labels
from ciserver.store.lanes import Lanes
from ciserver.store.listings import Listings
from ciserver.store.log_keeping import LogKeeping
from ciserver.store.mark import mark_of
from ciserver.store.members import Members
from ciserver.store.named_files import NamedFiles
from ciserver.store.nodes import Nodes
from ciserver.store.objects import Objects
from ciserver.store.outbox import Outbox
from ciserver.store.overviews import Overviews
from ciserver.store.pauses import Pauses
from ciserver.store.products import Products
from ciserver.store.projects import Projects
from ciserver.store.pushes import Pushes
from ciserver.store.queue import Queue
from ciserver.store.renames import Renames
from ciserver.store.repeats import Repeats
from ciserver.store.reports import Reports
from ciserver.store.repositories import Repositories
from ciserver.store.requests import Requests
from ciserver.store.resealing import Resealing
from ciserver.store.schedules import Schedules
from ciserver.store.seal import SEAL_FILE, Seal
from ciserver.store.search import Search
from ciserver.store.secrets import Secrets
from ciserver.store.signing import KEY_FILE, SigningKeys
from ciserver.store.source_projects import SourceProjects
from ciserver.store.storage import Storage
from ciserver.store.systems import Systems
from ciserver.store.timings import Timings
from ciserver.store.together import Together
from ciserver.store.uploads import Uploads
from ciserver.store.watching import Watching
from ciserver.store.worker_faults import WorkerFaults
from ciserver.store.workers import Workers


class Store:
    """`root` is for what each server has of its own, `storage` for the files that belong to rows,
    `keys` for those that must be kept apart from them; without these they lie together. Finished
    logs and products go to the `bucket`, if there is one. `node` is the name of this server among
    those of the database.
    """

    def __init__(  # noqa: PLR0915  it lists all shelves
        self,
        root: Path,
        database_url: str = "",
        *,
        storage: Path | None = None,
        bucket: Objects | None = None,
        keys: Path | None = None,
        node: str = "",
    ) -> None:
        self.node = node
        self.database = Database(database_url or root / "ciserver.db")
        storage = storage or root
        self.files = Files(storage, bucket)
        self.cache_files = NamedFiles(storage / "caches")
        self.upload_files = NamedFiles(storage / "uploads")
        self.incoming = Incoming(storage)
        self.dumps = root / "dumps"  # what can be made again from the database
        self.dumps.mkdir(mode=0o700, exist_ok=True)
        self._storage = storage
        self.accounts = Accounts(self.database)
        self.seal_file = (keys or root) / SEAL_FILE
        seal = Seal(self.seal_file)
        self.signing_keys = SigningKeys((keys or root) / KEY_FILE)
        self.keys = Keys(self.database, seal)
        self.nodes = Nodes(self.database)
        self.claims = Claims(self.database, node)
        self.projects = Projects(self.database, seal)
        self.jobsets = Jobsets(self.database, seal)
        self.secrets = Secrets(self.database, seal)
        self.resealing = Resealing(self.database, seal)
        self.renames = Renames(self.database)
        self.watching = Watching(self.database)
        self.pushes = Pushes(self.database)
        self.evaluations = Evaluations(self.database, node)
        self.evaluation_lists = EvaluationLists(self.database)
        self.history = History(self.database)
        self.repeats = Repeats(self.database)
        lanes = Lanes(self.database)
        self.attempts = Attempts(self.database, lanes)
        self.gates = Gates(self.database, lanes)
        self.queue = Queue(self.database, lanes, self.attempts, self.gates)
        self.builds = Builds(self.database)
        self.labels = Labels(self.database)
        self.label_lists = LabelLists(self.database)
        self.build_history = BuildHistory(self.database)
        self.listings = Listings(self.database)
        self.filtered = Filtered(self.database)
        self.jobs = Jobs(self.database)
        self.job_groups = JobGroups(self.database)
        self.members = Members(self.database)
        self.products = Products(self.database)
        self.keeping = Keeping(self.database)
        self.log_keeping = LogKeeping(self.database)
        self.storage = Storage(self.database)
        self.reports = Reports(self.database)
        self.caches = Caches(self.database)
        self.requests = Requests(self.database)
        self.systems = Systems(self.database)
        self.workers = Workers(self.database)
        self.source_projects = SourceProjects(self.database)
        self.uploads = Uploads(self.database)
        self.schedules = Schedules(self.database)
        self.checks = Checks(self.database)
        self.pauses = Pauses(self.database)
        self.worker_faults = WorkerFaults(self.database)
        self.timings = Timings(self.database)
        self.outbox = Outbox(self.database, node)
        self.ended = Ended(self.database)
        self.overviews = Overviews(self.database)
        self.repositories = Repositories(self.database)
        self.search = Search(self.database)

        self.transaction = self.database.transaction
        self.together = Together(self.transaction).perform
        self.after_commit = self.database.after_commit

    @property
    def storage_mark(self) -> str:
        """Tells the directory of files from all others."""
        return mark_of(self._storage)
