"""How a job that is broken came to be so."""

from ciserver.model.build import Build
from ciserver.model.comparison import ChangedInput
from ciserver.model.frozen import frozen


@frozen
class Breakage:
    """The first build that was bad since the last one that was good, if there is one; with what
    changed in between. `is_cut` where it is older than was looked for.
    """

    first_bad: Build
    last_good: Build | None
    inputs: tuple[ChangedInput, ...] = ()
    is_cut: bool = False
