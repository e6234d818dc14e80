"""All shelves of the store, opened together over one data directory."""

from pathlib import Path

from ciserver.store.accounts import Accounts
from ciserver.store.builds import Builds
from ciserver.store.database import Database
from ciserver.store.evaluations import Evaluations
from ciserver.store.files import Files
from ciserver.store.outbox import Outbox
from ciserver.store.projects import Projects
from ciserver.store.pushes import Pushes
from ciserver.store.queue import Queue
from ciserver.store.schedules import Schedules
from ciserver.store.seal import Seal


class Store:
    def __init__(self, root: Path) -> None:
        self.database = Database(root / "ciserver.db")
        self.files = Files(root)
        self.accounts = Accounts(self.database)
        self.projects = Projects(self.database, Seal(root / "secret.key"))
        self.pushes = Pushes(self.database)
        self.evaluations = Evaluations(self.database)
        self.queue = Queue(self.database)
        self.builds = Builds(self.database)
        self.schedules = Schedules(self.database)
        self.outbox = Outbox(self.database)

        self.transaction = self.database.transaction
        self.after_commit = self.database.after_commit
