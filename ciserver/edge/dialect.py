"""What a dialect is to the application, and which dialect a request is in."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, TypeAlias, cast, runtime_checkable

import falcon

from ciserver.edge.paths import is_for_programs, is_under
from ciserver.edge.proofs import Proof
from ciserver.edge.refusals import Refusal
from ciserver.service.services import Services


class Dialect(Protocol):
    """The HTTP interface of another system, spoken by us."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The paths that are this dialect's alone, with everything beneath them. They begin with a
        slash and do not end with one. Of several dialects the one with the longest prefix has it.
        """

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        """Mount the resources, once, when the application is made."""

    def proof(self, req: falcon.Request) -> Proof | None:
        """What the request proves the caller by; None where it does not try, and then a session
        counts. Raises NotSignedIn for a proof that the dialect does not take.
        `ciserver.edge.proofs.usual_proof` is enough for most.
        """

    def refuse(self, req: falcon.Request, resp: falcon.Response, refusal: Refusal) -> None:
        """Write the body of a refusal, also of an unknown path below the prefixes, a wrong method
        or proof, or a crash. Status and headers are set already, the content type to JSON, and may
        be changed. It comes before routing too, so nothing but the request is known for sure.
        """


@runtime_checkable
class OpenDialect(Dialect, Protocol):
    """A dialect that pages of other sites may ask, with the proof that their browser has."""

    @property
    def origins(self) -> frozenset[str]:
        """Which sites, each as in the header Origin."""


class Route(NamedTuple):
    """An address: its template, the resource there, and the suffix of its responders."""

    path: str
    resource: object
    suffix: str


class SharedDialect(Dialect, Protocol):
    """A dialect that has the addresses of our pages too, and others beside them."""

    @property
    def shared(self) -> tuple[Route, ...]:
        """Its routes outside its prefixes. Where a page has the same address the responders take
        the same names from it.
        """

    def speaks(self, req: falcon.Request) -> bool:
        """Whether a request to the address of a page wants the dialect and not the page."""


DialectMaker: TypeAlias = Callable[[Services, str], Dialect]
SharedDialectMaker: TypeAlias = Callable[[Services, str], SharedDialect]


class Dialects:
    """All dialects of an application; at most one shares the addresses of the pages."""

    def __init__(self, dialects: Iterable[Dialect], shared: SharedDialect | None = None) -> None:
        self._all = (*dialects, *([shared] if shared else []))
        self._shared = shared
        owners = [(prefix, dialect) for dialect in self._all for prefix in dialect.prefixes]
        self._owners = sorted(owners, key=lambda owner: len(owner[0]), reverse=True)
        self._prefixes = tuple(prefix for prefix, _ in self._owners)
        # Looked at once: a protocol is compared name by name.
        self._open = {id(one): one for one in self._all if isinstance(one, OpenDialect)}

    def add_routes(self, app: "falcon.App[falcon.Request, falcon.Response]") -> None:
        for dialect in self._all:
            dialect.add_routes(app)

    def open_to(self, req: falcon.Request) -> OpenDialect | None:
        """The dialect that a request is in if pages of other sites may ask it."""
        return self._open.get(id(self.of(req)))

    def of(self, req: falcon.Request) -> Dialect | None:
        """The dialect that a request is in, whether or not anything is at its path; None for our
        own pages and API. Where its responder was chosen, that is known.
        """
        if chosen := getattr(req.context, "dialect", None):
            return cast("Dialect", chosen)
        if req.path.startswith(self._prefixes):
            for prefix, dialect in self._owners:
                if is_under(req.path, prefix):
                    return dialect
        if self._shared is None or is_for_programs(req.path):
            return None
        return self._shared if self._shared.speaks(req) else None
