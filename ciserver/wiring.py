"""The only module that knows every class: it puts a server together from its settings."""

import secrets
from datetime import timedelta
from functools import cached_property, partial

from ciserver.bells import Bells
from ciserver.clock import SystemClock
from ciserver.config import Settings
from ciserver.datadir import DataDirectory
from ciserver.dialects.selfserve import SelfServe
from ciserver.dialects.srht.told import webhook_keys
from ciserver.git.mirrors import Mirrors
from ciserver.machine import (
    make_addresses,
    make_image_ids,
    make_mirrors,
    make_smtp,
    most_log,
    most_upload,
    native_system,
    offered_systems,
    scratch_root,
)
from ciserver.model.frozen import frozen
from ciserver.model.links import Links
from ciserver.model.ports import Clock, Trigger
from ciserver.opening import mirrors_key, open_store, place_of
from ciserver.service.access import Access
from ciserver.service.audit import Audit
from ciserver.service.backoff import Backoff
from ciserver.service.build_details import BuildDetails
from ciserver.service.build_logs import BuildLogs
from ciserver.service.build_secrets import GivenSecrets
from ciserver.service.building import Building
from ciserver.service.builds import Builds
from ciserver.service.caches import Caches
from ciserver.service.comparisons import Comparisons
from ciserver.service.counters import Counters
from ciserver.service.declared_jobsets import DeclaredJobsets
from ciserver.service.deliveries import Deliveries
from ciserver.service.diffs import Diffs
from ciserver.service.dumps import Dumps
from ciserver.service.earlier import Earlier
from ciserver.service.ends import Ends
from ciserver.service.evaluation_acts import EvaluationActs
from ciserver.service.evaluation_lists import EvaluationLists
from ciserver.service.evaluations import Evaluations
from ciserver.service.exports import Exports
from ciserver.service.fault_mails import FaultMails
from ciserver.service.fleet import Fleet
from ciserver.service.groups import Groups
from ciserver.service.job_groups import JobGroups
from ciserver.service.jobs import Jobs
from ciserver.service.jobset_saving import JobsetSaving
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
from ciserver.service.pinning import Pinning
from ciserver.service.polls import Polls
from ciserver.service.product_files import ProductFiles
from ciserver.service.projects import Projects
from ciserver.service.pushes import Pushes
from ciserver.service.queries import Queries
from ciserver.service.recipe_reading import RecipeReading
from ciserver.service.remote_sources import RemoteSources
from ciserver.service.remote_work import RemoteWork
from ciserver.service.renames import Renames
from ciserver.service.repeats import Repeats
from ciserver.service.reporter import LocalReporter
from ciserver.service.reproduction import Reproduction
from ciserver.service.requests import Requests
from ciserver.service.resubmissions import Resubmissions
from ciserver.service.rights import Rights
from ciserver.service.schedules import Schedules
from ciserver.service.script_products import ScriptProducts
from ciserver.service.search import Search
from ciserver.service.secrets import Secrets
from ciserver.service.services import Services
from ciserver.service.source_builds import SourceBuilds
from ciserver.service.source_projects import SourceProjects
from ciserver.service.sources import MirrorSources
from ciserver.service.status import Status
from ciserver.service.storage import Storage
from ciserver.service.stored_files import StoredFiles
from ciserver.service.submissions import Submissions
from ciserver.service.systems import Systems
from ciserver.service.telling import Telling
from ciserver.service.timings import Timings
from ciserver.service.uploads import Uploads
from ciserver.service.webhook_keys import WebhookKeys
from ciserver.service.workers import LOCAL, Workers
from ciserver.shipped import shipped
from ciserver.store.store import Store
from ciserver.web.app import DIALECTS, App, create_app
from triggers import make_triggers
from triggers.outgoing import Outgoing


@frozen
class Parts:
    """A server's parts without anything that runs: enough for commands when no server does."""

    settings: Settings
    data: DataDirectory
    store: Store
    services: Services
    mirrors: Mirrors
    sources: MirrorSources
    reporter: LocalReporter
    caches: Caches
    bells: Bells
    local_token: str

    @property
    def worker(self) -> str:
        """What the worker inside of this server is called."""
        is_shared = self.store.database.is_shared
        return f"{LOCAL}-{self.store.node}" if is_shared else LOCAL

    @cached_property
    def app(self) -> App:
        """The application over the services; made for whoever asks first, as it has many routes."""
        return create_app(
            self.services,
            shipped("templates"),
            server_name=self.settings.server.name,
            base_url=self.settings.server.base_url,
            dialects=(*DIALECTS, partial(SelfServe, settings=self.settings.selfserve)),
        )


def make_parts(
    settings: Settings, data: DataDirectory, *, clock: Clock | None = None, base_url: str = ""
) -> Parts:
    """Open the store (bringing its schema up to date) and build the services over it."""
    clock = clock or SystemClock()
    data.make()
    store = open_store(settings, data)
    store.database.migrate()
    links = Links(settings.server.base_url or base_url or f"http://{settings.server.listen}")
    bells, token = Bells(), secrets.token_urlsafe(32)
    addresses = make_addresses(settings, data)
    key = mirrors_key(settings, data, store)
    mirrors = make_mirrors(settings, data, addresses, clock, key=key)
    retries, followers = settings.builds.retries, settings.server.followers
    rights, audit = Rights(store), Audit(store, clock)
    counters = Counters()
    given_secrets = GivenSecrets(store, clock)
    pinning = Pinning(store, clock, mirrors, Earlier(store, rights, links), given_secrets)
    saving = JobsetSaving(store, clock, addresses, ring_polls=bells.polls.ring)
    declared = DeclaredJobsets(store, clock, pinning, saving, ring=bells.evaluations.ring)
    ends = Ends(
        store,
        clock,
        links,
        Telling(store, clock, ring=bells.deliveries.ring),
        ring_engine=bells.builds.ring,
        count=counters.count,
        declare=declared.ended,
    )
    builds = Builds(
        store,
        clock,
        rights,
        audit,
        ends,
        Backoff(store, clock),
        retries=retries,
        most_rebuilds=settings.selfserve.most_rebuilds,
    )
    image_id = make_image_ids(settings, data)
    untrusted_network = settings.builds.untrusted_network == "isolated"
    building = Building(
        store,
        clock,
        pinning,
        ends,
        links,
        stop=builds.stop_running,
        image_id=image_id,
        untrusted_network=untrusted_network,
    )
    evaluations = Evaluations(
        store,
        clock,
        pinning,
        RecipeReading(
            Exports(store, mirrors, scratch_root(settings, data)),
            system=native_system(),
            most_files=settings.builds.recipes,
        ),
        building,
        Repeats(
            store,
            image_id=image_id,
            server=(native_system(), settings.builds.recipes, untrusted_network),
        ),
        declared,
        FaultMails(store, clock, links, ring=bells.deliveries.ring),
        rights,
        audit,
        ring=bells.evaluations.ring,
        ring_engine=bells.builds.ring,
        wake_schedules=bells.schedules.ring,
    )
    schedules = Schedules(
        store, clock, rights, audit, ring=bells.evaluations.ring, wake=bells.schedules.ring
    )
    queries = Queries(store, clock, rights)
    jobsets = Jobsets(store, clock, rights, audit, builds, evaluations, saving)
    projects = Projects(store, clock, rights, audit, jobsets, declared, addresses)
    logs = Logs(store, followers=followers, ring=bells.logs.ring)
    bells.logs.on_ring(logs.wake)
    comparisons = Comparisons(store, rights, pinning)
    storage = Storage(store, rights, audit, quota_mb=settings.builds.project_quota_mb)
    status = Status(store, clock, rights, queries.reasons, counters, storage)
    keeping = Keeping(
        store,
        clock,
        autostarted=timedelta(days=settings.builds.keep_autostarted_days),
        others=timedelta(days=settings.builds.keep_days),
    )
    submissions = Submissions(
        store,
        clock,
        rights,
        audit,
        mirrors,
        system=native_system(),
        ring=bells.builds.ring,
    )
    lists = Lists(
        store,
        rights,
        timeout_seconds=settings.builds.timeout_minutes * 60,
        lease_seconds=settings.builds.lease_seconds,
    )
    caches = Caches(store, clock, quota=settings.builds.cache_quota_mb << 20)
    reporter = LocalReporter(
        store,
        clock,
        builds,
        logs,
        caches,
        links,
        given_secrets,
        storage,
        lease_seconds=settings.builds.lease_seconds,
    )
    sources = MirrorSources(store, mirrors)
    waiting = max(2, settings.server.threads // 8)  # of the threads, for what takes its time
    served = RemoteSources(store, sources, given_secrets, at_once=waiting)
    fleet = Fleet(
        store,
        clock,
        listeners=waiting,
        ring=bells.builds.ring,
        ring_stop=bells.stops.ring,
        worker_of=store.attempts.worker_of,
    )
    bells.builds.on_ring(fleet.wake)
    bells.stops.on_ring(fleet.stop_here)
    services = Services(
        clock=clock,
        access=Access(store, clock, audit, local_token=token),
        rights=rights,
        projects=projects,
        jobsets=jobsets,
        renames=Renames(store, rights),
        pushes=Pushes(store, clock, bells.evaluations.ring),
        evaluations=evaluations,
        evaluation_acts=EvaluationActs(
            store, clock, rights, audit, builds, evaluations, ring=bells.builds.ring
        ),
        evaluation_lists=EvaluationLists(store, rights, queries.reasons),
        comparisons=comparisons,
        diffs=Diffs(store, rights, pinning),
        builds=builds,
        leases=Leases(store, clock, builds, seconds=settings.builds.lease_seconds),
        deliveries=Deliveries(
            store,
            clock,
            rights,
            audit,
            _make_triggers(settings, store, clock, links),
            ring=bells.deliveries.ring,
        ),
        logs=logs,
        build_logs=BuildLogs(store, rights, logs),
        build_details=BuildDetails(store, rights, comparisons, queries.reasons),
        reproduction=Reproduction(store, rights, links),
        product_files=ProductFiles(store, rights, queries),
        queries=queries,
        jobs=Jobs(store, rights),
        keeping=keeping,
        log_keeping=LogKeeping(
            store,
            clock,
            keeping,
            at_least=timedelta(days=settings.builds.keep_logs_days) or None,
        ),
        storage=storage,
        stored_files=StoredFiles(store),
        known_refs=KnownRefs(store, rights, pinning),
        lists=lists,
        label_lists=LabelLists(store, rights, lists.submitted),
        schedules=schedules,
        submissions=submissions,
        resubmissions=Resubmissions(store, rights, submissions),
        secrets=Secrets(store, clock, rights, audit),
        script_products=ScriptProducts(store, rights, audit, jobsets, schedules),
        source_builds=SourceBuilds(
            store,
            clock,
            rights,
            audit,
            addresses,
            scripts=settings.source_builds.scripts,
            most_bytes=settings.source_builds.upload_limit_mb << 20,
            ring=bells.builds.ring,
        ),
        source_projects=SourceProjects(store, rights, audit, projects, jobsets),
        groups=Groups(store, rights, audit, builds),
        job_groups=JobGroups(store, clock, rights, audit, builds),
        polls=Polls(store, clock, pinning, ring=bells.evaluations.ring),
        status=status,
        search=Search(store, rights, status),
        pauses=Pauses(store, clock, rights, audit, ring_engine=bells.builds.ring),
        systems=Systems(store, rights, audit, ring_engine=bells.builds.ring),
        uploads=Uploads(store),
        dumps=Dumps(store, clock, links),
        timings=Timings(store, rights),
        webhook_keys=WebhookKeys(store.signing_keys, rights, audit),
        workers=Workers(store, clock, rights, audit),
        fleet=fleet,
        nodes=Nodes(store, clock, place=place_of(data), ring=bells.ring_all_here),
        remote_work=RemoteWork(
            store,
            audit,
            reporter,
            served,
            most_bytes=most_upload(settings),
            most_log_bytes=most_log(settings),
        ),
        requests=Requests(
            store, clock, rights, audit, builds, evaluations, ring=bells.requests.ring
        ),
    )
    with store.transaction():
        store.systems.add(*offered_systems(settings))
    parts = (settings, data, store, services, mirrors, sources, reporter, caches, bells, token)
    return Parts(*parts)


def _make_triggers(
    settings: Settings, store: Store, clock: Clock, links: Links
) -> dict[str, Trigger]:
    return make_triggers(
        smtp=make_smtp(settings),
        templates=shipped("templates"),
        http=Outgoing(allow=settings.outgoing.allow),
        secret_of=store.projects.signing_secret,
        seal=store.signing_keys.sign,
        clock=clock,
        beside=partial(webhook_keys, base=links.base),
    )
