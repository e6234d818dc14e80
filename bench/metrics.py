"""All that is measured, in the order of the table."""

from bench.asking import Idle, Installed, Pages, Reads, SignedPushes
from bench.building import BuildsPerSecond, PushToFirstCommand
from bench.distributed import Workers
from bench.inside import Claims, Evaluations, Schedules
from bench.logs import LiveLine, LogSizes, LongLog
from bench.metric import Metric
from bench.soak import Soak

METRICS: tuple[Metric, ...] = (
    PushToFirstCommand(checks_out=False),
    PushToFirstCommand(checks_out=True),
    BuildsPerSecond(is_sandboxed=False),
    BuildsPerSecond(is_sandboxed=True),
    Workers(),
    SignedPushes(),
    LongLog(),
    LogSizes(),
    LiveLine(),
    Reads(),
    Pages(),
    Evaluations(),
    Claims(),
    Schedules(),
    Idle(),
    Installed(),
    Soak(),
)
