"""What attempts made: the files that are kept, and what they tell of themselves beside these."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ciserver.model.build import PLAIN, Build, Output, Product, ProductKind
from ciserver.model.errors import NotFound
from ciserver.store import tables as t
from ciserver.store.database import Database
from ciserver.store.storage import charge


class Products:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(
        self,
        build_id: int,
        attempt: int,
        *,
        path: str,
        size: int,
        sha256: str,
        kind: ProductKind = PLAIN,
        name: str = "",
    ) -> None:
        """Write down a product; the same path again replaces it."""
        product = {
            t.Product.name: name or path.rsplit("/", 1)[-1],
            t.Product.size: size,
            t.Product.sha256: sha256,
            t.Product.type: kind.type,
            t.Product.subtype: kind.subtype,
            t.Product.default_path: kind.default_path,
            t.Product.removed_at: None,
            t.Product.removed_why: "",
            t.Product.file_left: False,
        }
        whose = {t.Product.build: build_id, t.Product.attempt: attempt, t.Product.path: path}
        charge(self._db, build_id, products=size - self.size_at(build_id, attempt, path))
        self._db.insert(
            t.Product.insert({**whose, **product}).on_conflict(
                conflict_target=[t.Product.build, t.Product.attempt, t.Product.path],
                update=product,
            )
        )

    def size_at(self, build_id: int, attempt: int, path: str) -> int:
        """Of the product that stands at a path; 0 where none does."""
        query = t.Product.select(t.Product.size).where(
            t.Product.build == build_id,
            t.Product.attempt == attempt,
            t.Product.path == path,
            t.Product.removed_at.is_null(),
        )
        return int(self._db.scalar(query) or 0)

    def list_of_build(self, build_id: int) -> tuple[Product, ...]:
        """Those of all attempts, in the order in which they were made."""
        return tuple(product_of(row) for row in self._db.usual(_of_build, build_id))

    def of_builds(self, builds: Iterable[Build]) -> dict[int, tuple[Product, ...]]:
        """The products of the newest attempt of each build."""
        newest = {one.id: one.attempt for one in builds}
        rows = self._db.rows(
            t.Product.select().where(t.Product.build << list(newest)).order_by(t.Product.id)
        )
        products: dict[int, list[Product]] = {one: [] for one in newest}
        for row in rows:
            if row["attempt"] == newest[row["build"]]:
                products[row["build"]].append(product_of(row))
        return {build_id: tuple(found) for build_id, found in products.items()}

    def get(self, build_id: int, product_id: int) -> Product:
        """Raises NotFound."""
        row = self._db.row(
            t.Product.select().where(t.Product.id == product_id, t.Product.build == build_id)
        )
        if row is None:
            raise NotFound(f"build {build_id} has no product {product_id}")
        return product_of(row)

    def set_output(self, build_id: int, attempt: int, output: Output) -> None:
        """Write down what an attempt tells, in the place of what it told before."""
        told = {
            t.BuildOutput.release_name: output.release_name,
            t.BuildOutput.drv_path: output.drv_path,
            t.BuildOutput.paths: json.dumps(output.paths),
        }
        whose = {t.BuildOutput.build: build_id, t.BuildOutput.attempt: attempt}
        self._db.insert(
            t.BuildOutput.insert({**whose, **told})
            .on_conflict(conflict_target=[t.BuildOutput.build, t.BuildOutput.attempt], update=told)
            .as_rowcount()
        )

    def output(self, build_id: int, attempt: int) -> Output:
        """What an attempt told; an empty one where it told nothing."""
        row = self._db.usual_row(_output_of, build_id, attempt)
        return _output(row) if row else Output()

    def outputs_of(self, builds: Iterable[Build]) -> dict[int, Output]:
        """What the newest attempt of each build told, of those that did."""
        newest = {one.id: one.attempt for one in builds}
        rows = self._db.rows(t.BuildOutput.select().where(t.BuildOutput.build << list(newest)))
        return {
            row["build"]: _output(row) for row in rows if row["attempt"] == newest[row["build"]]
        }


def _of_build(build_id: int) -> Any:
    return t.Product.select().where(t.Product.build == build_id).order_by(t.Product.id)


def _output_of(build_id: int, attempt: int) -> Any:
    mine = t.BuildOutput
    return mine.select().where(mine.build == build_id, mine.attempt == attempt)


def _output(row: Mapping[str, Any]) -> Output:
    return Output(row["release_name"], row["drv_path"], json.loads(row["paths"]))


def product_of(row: Mapping[str, Any]) -> Product:
    return Product(
        id=row["id"],
        build_id=row["build"],
        attempt=row["attempt"],
        name=row["name"],
        path=row["path"],
        size=row["size"],
        sha256=row["sha256"],
        type=row["type"],
        subtype=row["subtype"],
        default_path=row["default_path"],
        removed_at=row["removed_at"],
        removed_why=row["removed_why"],
    )
