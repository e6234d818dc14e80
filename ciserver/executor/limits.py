"""What a build may use where its recipe does not say otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of every attempt; 0 seconds means no limit.

    `grace_seconds` lie between TERM and KILL, `renew_seconds` between two renewals of the lease.
    """

    timeout_seconds: float = 3600
    silence_seconds: float = 0
    log_bytes: int = 1 << 30
    grace_seconds: float = 10
    renew_seconds: float = 10
