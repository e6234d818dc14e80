"""All shelves of the store, opened together over one data directory."""

from pathlib import Path

from ciserver.store.accounts import Accounts
from ciserver.store.attempts import Attempts
from ciserver.store.builds import Builds
from ciserver.store.caches import Caches
from ciserver.store.checks import Checks
from ciserver.store.database import Database
from ciserver.store.evaluations import Evaluations
from ciserver.store.files import Files
from ciserver.store.gates import Gates
from ciserver.store.history import History
from ciserver.store.lanes import Lanes
from ciserver.store.listings import Listings
from ciserver.store.members import Members
from ciserver.store.outbox import Outbox
from ciserver.store.pauses import Pauses
from ciserver.store.projects import Projects
from ciserver.store.pushes import Pushes
from ciserver.store.queue import Queue
from ciserver.store.reports import Reports
from ciserver.store.requests import Requests
from ciserver.store.schedules import Schedules
from ciserver.store.seal import Seal
from ciserver.store.systems import Systems


class Store:
    def __init__(self, root: Path) -> None:
        self.database = Database(root / "ciserver.db")
        self.files = Files(root)
        self.accounts = Accounts(self.database)
        self.projects = Projects(self.database, Seal(root / "secret.key"))
        self.pushes = Pushes(self.database)
        self.evaluations = Evaluations(self.database)
        self.history = History(self.database)
        lanes = Lanes(self.database)
        self.attempts = Attempts(self.database, lanes)
        self.gates = Gates(self.database, lanes)
        self.queue = Queue(self.database, lanes, self.attempts, self.gates)
        self.builds = Builds(self.database)
        self.listings = Listings(self.database)
        self.members = Members(self.database)
        self.reports = Reports(self.database)
        self.caches = Caches(self.database)
        self.requests = Requests(self.database)
        self.systems = Systems(self.database)
        self.schedules = Schedules(self.database)
        self.checks = Checks(self.database)
        self.pauses = Pauses(self.database)
        self.outbox = Outbox(self.database)

        self.transaction = self.database.transaction
        self.after_commit = self.database.after_commit
