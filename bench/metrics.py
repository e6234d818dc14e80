"""All that is measured, in the order of the table."""

from bench.asking import Idle, Installed, Reads, SignedPushes
from bench.building import BuildsPerSecond, PushToFirstCommand
from bench.logs import LiveLine, LongLog
from bench.metric import Metric

METRICS: tuple[Metric, ...] = (
    PushToFirstCommand(checks_out=False),
    PushToFirstCommand(checks_out=True),
    BuildsPerSecond(is_sandboxed=False),
    BuildsPerSecond(is_sandboxed=True),
    SignedPushes(),
    LongLog(),
    LiveLine(),
    Reads(),
    Idle(),
    Installed(),
)
