"""The addresses of our own pages, as mails, answers and logs name them."""

from urllib.parse import quote

from ciserver.model.frozen import frozen


@frozen
class Links:
    """`base` has no trailing slash."""

    base: str

    def home(self) -> str:
        return f"{self.base}/"

    def project(self, name: str) -> str:
        return f"{self.base}/project/{quote(name, safe='')}"

    def jobset(self, project: str, name: str) -> str:
        return f"{self.base}/jobset/{quote(project, safe='')}/{quote(name, safe='')}"

    def job(self, project: str, jobset: str, job: str) -> str:
        path = "/".join(quote(one, safe="") for one in (project, jobset, job))
        return f"{self.base}/job/{path}"

    def evaluation(self, evaluation_id: int) -> str:
        return f"{self.base}/eval/{evaluation_id}"

    def build(self, build_id: int) -> str:
        return f"{self.base}/build/{build_id}"

    def log(self, build_id: int, attempt: int, step: str) -> str:
        return f"{self.base}/build/{build_id}/log/{quote(step, safe='')}?attempt={attempt}"

    def text_log(self, name: str) -> str:
        """A whole log as text, by the name that it is known by."""
        return f"{self.base}/log/{quote(name, safe='')}"

    def sign_in(self, token: str) -> str:
        return f"{self.base}/welcome/{token}"

    def hook(self, door: str, project: str) -> str:
        return f"{self.base}/hooks/{door}/{quote(project, safe='')}"

    def results(self, build_id: int) -> str:
        """A directory: what a build made and the logs of its steps."""
        return f"{self.base}/build/{build_id}/results/"

    def result(self, build_id: int, name: str) -> str:
        return self.results(build_id) + quote(name, safe="")

    def product(self, build_id: int, product_id: int, name: str) -> str:
        return f"{self.base}/build/{build_id}/product/{product_id}/{quote(name, safe='')}"
