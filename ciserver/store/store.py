"""All shelves of the store, opened together over one data directory."""

from pathlib import Path

from ciserver.store.accounts import Accounts
from ciserver.store.attempts import Attempts
from ciserver.store.build_history import BuildHistory
from ciserver.store.builds import Builds
from ciserver.store.caches import Caches
from ciserver.store.checks import Checks
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
from ciserver.store.label_lists import LabelLists
from ciserver.store.labels import Labels
from ciserver.store.lanes import Lanes
from ciserver.store.listings import Listings
from ciserver.store.log_keeping import LogKeeping
from ciserver.store.members import Members
from ciserver.store.outbox import Outbox
from ciserver.store.overviews import Overviews
from ciserver.store.pauses import Pauses
from ciserver.store.products import Products
from ciserver.store.projects import Projects
from ciserver.store.pushes import Pushes
from ciserver.store.queue import Queue
from ciserver.store.renames import Renames
from ciserver.store.reports import Reports
from ciserver.store.repositories import Repositories
from ciserver.store.requests import Requests
from ciserver.store.resealing import Resealing
from ciserver.store.schedules import Schedules
from ciserver.store.seal import Seal
from ciserver.store.search import Search
from ciserver.store.secrets import Secrets
from ciserver.store.signing import KEY_FILE, SigningKeys
from ciserver.store.source_projects import SourceProjects
from ciserver.store.storage import Storage
from ciserver.store.systems import Systems
from ciserver.store.timings import Timings
from ciserver.store.uploads import Uploads
from ciserver.store.workers import Workers


class Store:
    def __init__(self, root: Path, database_url: str = "") -> None:
        self.database = Database(database_url or root / "ciserver.db")
        self.files = Files(root)
        self.incoming = Incoming(root)
        self.accounts = Accounts(self.database)
        seal = Seal(root / "secret.key")
        self.signing_keys = SigningKeys(root / KEY_FILE)
        self.projects = Projects(self.database, seal)
        self.jobsets = Jobsets(self.database, seal)
        self.secrets = Secrets(self.database, seal)
        self.resealing = Resealing(self.database, seal)
        self.renames = Renames(self.database)
        self.pushes = Pushes(self.database)
        self.evaluations = Evaluations(self.database)
        self.evaluation_lists = EvaluationLists(self.database)
        self.history = History(self.database)
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
        self.timings = Timings(self.database)
        self.outbox = Outbox(self.database)
        self.ended = Ended(self.database)
        self.overviews = Overviews(self.database)
        self.repositories = Repositories(self.database)
        self.search = Search(self.database)

        self.transaction = self.database.transaction
        self.after_commit = self.database.after_commit
