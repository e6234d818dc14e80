"""The pages in a real browser: live logs, buttons, no JavaScript, no foreign host, keyboard."""

import os
from pathlib import Path

import pytest
from support.repositories import Repository
from support.waiting import until

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "correct horse battery"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    if not CHROMIUM.exists():
        message = f"{CHROMIUM} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


class Site:
    """A server with a watched repository, and builds that go on when they are told to."""

    def __init__(self, server, gates, repositories) -> None:
        self.server = server
        self.repository = Repository(repositories)
        self._gates = gates
        server.cli("watch", str(self.repository.bare))

    def push(self, *tasks: str) -> int:
        """Push a recipe with these tasks; answers the id of its build."""
        before = len(self.server.builds())
        lines = "\n".join(
            f"  - task{number}: |\n      set +x\n"
            + "".join(f"      {line}\n" for line in task.splitlines())
            for number, task in enumerate(tasks, 1)
        )
        self.repository.commit({".build.yml": f"image: host\ntasks:\n{lines}\n"}, "Print slowly")
        self.repository.push()
        until(lambda: len(self.server.builds()) > before, what="a build")
        return self.server.builds()[0]["id"]

    def wait_at(self, gate: str) -> str:
        """What a task says to stop until `open_gate`."""
        return f"while [ ! -e {self._gates}/{gate} ]; do sleep 0.05; done"

    def open_gate(self, gate: str) -> None:
        (self._gates / gate).touch()

    def welcome_link(self) -> str:
        line = next(one for one in self.server.log.read_text().splitlines() if "/welcome/" in one)
        return line.rsplit(" ", 1)[-1]


@pytest.fixture
def site(make_server, place, tmp_path):
    gates = place / "gates"
    gates.mkdir()
    gates.chmod(0o755)
    config = f'[builds]\nslots = 2\nreadable = ["{gates}"]\n'
    site = Site(make_server(config=config).start(), gates, tmp_path / "repositories")
    yield site
    for one in site.server.builds():
        if not one["is_final"]:
            site.server.request("POST", f"/ci/v1/builds/{one['id']}/cancel")


@pytest.fixture
def make_tab(chromium, site):
    """A tab of a fresh browser profile. At the end: no error on its console but the `expected`, and
    nothing was asked of any host but the server.
    """
    contexts, faults = [], []

    def make(expected="", **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(15_000)
        tab.on("console", lambda said: note_error(said, expected))
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("request", lambda asked: note_foreign(asked.url))
        return tab

    def note_error(said, expected):
        if said.type == "error" and not (expected and expected in said.text):
            faults.append(said.text)

    def note_foreign(url):
        if not url.startswith(f"{site.server.url}/"):
            faults.append(f"asked {url}")

    yield make
    for context in contexts:
        context.close()
    assert faults == []


def see(tab, text, where="main"):
    """Wait until the text stands on the page."""
    tab.locator(where).get_by_text(text).first.wait_for()


def sign_in(tab, site):
    tab.goto(site.welcome_link())
    tab.get_by_label("New password").fill(PASSWORD)
    tab.get_by_role("button", name="Set password and sign in").click()
    tab.get_by_role("button", name="Sign out").wait_for()


def test_a_log_grows_before_the_readers_eyes(site, make_tab):
    """Lines, colors, the next step and the end appear on the page as it stands, never reloaded."""
    build = site.push(
        f"echo first line\n{site.wait_at('one')}\nprintf '\\033[31mred line\\033[0m\\n'",
        f"echo second step\n{site.wait_at('two')}\necho last line",
    )
    tab = make_tab()
    tab.goto(f"{site.server.url}/build/{build}")
    tab.evaluate("window.notReloaded = true")
    see(tab, "first line", "#log")
    see(tab, "Running", "#head")
    assert "red line" not in tab.locator("#log").inner_text()
    site.open_gate("one")
    see(tab, "second step", "#log")
    site.open_gate("two")
    see(tab, "Succeeded", "#head")
    see(tab, "last line", "#log")
    assert tab.title().startswith("Succeeded")
    assert tab.evaluate("window.notReloaded")
    tab.get_by_role("link", name="task1", exact=True).click()
    red = tab.locator("#log .f1", has_text="red line")
    assert red.evaluate("it => getComputedStyle(it).color") == "rgb(244, 112, 103)"


def test_a_followed_step_has_its_own_page(site, make_tab):
    """The whole-log page follows too, keeps its line numbers, and hears of the end."""
    build = site.push(f"echo one\n{site.wait_at('go')}\necho two; printf 'no line end'")
    tab = make_tab()
    see_log = f"{site.server.url}/build/{build}/step/1"
    until(lambda: b"one" in site.server.step_log(build, 1))
    tab.goto(see_log)
    see(tab, "Following live")
    site.open_gate("go")
    see(tab, "no line end", "#log")
    see(tab, "Succeeded", "#head")
    numbers = [one.inner_text() for one in tab.locator("#log .l > a").all()]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_a_reader_who_scrolled_up_is_left_alone(site, make_tab):
    """New lines come below; the place on the page does not move."""
    build = site.push(f"seq 500\n{site.wait_at('go')}\nseq 500\necho the end")
    tab = make_tab()
    tab.goto(f"{site.server.url}/build/{build}")
    see(tab, "500", "#log")
    tab.locator("#log").evaluate("box => box.scrollTo(0, 100)")
    site.open_gate("go")
    see(tab, "Succeeded", "#head")
    see(tab, "the end", "#log")
    assert tab.locator("#log").evaluate("box => box.scrollTop") == 100


def test_builds_are_canceled_and_run_again_by_button(site, make_tab):
    """A person signs in through the welcome link, cancels, runs again, and signs out."""
    build = site.push(f"echo begun\n{site.wait_at('go')}\necho done")
    tab = make_tab()
    sign_in(tab, site)
    tab.goto(f"{site.server.url}/build/{build}")
    see(tab, "begun", "#log")
    tab.get_by_role("button", name="Cancel").click()
    see(tab, "Canceled by admin", "#head")
    site.open_gate("go")
    tab.get_by_role("button", name="Run again").click()
    see(tab, "Succeeded", "#head")
    see(tab, "done", "#log")
    see(tab, "Attempt 1", "#after")
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("link", name="Sign in").wait_for()
    tab.goto(f"{site.server.url}/build/{build}")
    assert tab.get_by_role("button", name="Run again").count() == 0


def test_a_build_is_submitted_corrected_and_resubmitted(site, make_tab):
    """What is wrong stands beside its field; the form of the next one has what was there."""
    tab = make_tab(expected="status of 400")  # as the console calls a page with faults
    sign_in(tab, site)
    tab.get_by_role("link", name="Submit a build").click()
    tab.get_by_label("Manifest").fill("image: host\ntasks: none\n")
    tab.get_by_label("Tags").fill("hello/not one")
    tab.get_by_role("button", name="Submit").click()
    see(tab, "2 things are wrong")
    see(tab, "not one: must be letters")
    tab.get_by_label("Manifest").fill("image: host\n\ntasks:\n  - greet: echo hello\n")
    tab.get_by_label("Tags").fill("hello/world")
    tab.get_by_label("Note").fill("Say it")
    tab.get_by_role("button", name="Submit").click()
    until(lambda: site.server.builds()[0]["is_final"])
    see(tab, "Succeeded", "#head")
    tab.get_by_role("link", name="Edit and resubmit").click()
    manifest = tab.get_by_label("Manifest")
    assert manifest.input_value() == "image: host\n\ntasks:\n  - greet: echo hello\n"
    assert tab.get_by_label("Note").input_value() == "Say it (resubmitted)"
    manifest.fill(manifest.input_value().replace("hello", "good day"))
    tab.get_by_role("button", name="Submit").click()
    until(lambda: len(site.server.builds()) == 2 and site.server.builds()[0]["is_final"])
    tab.goto(f"{site.server.url}/~admin/hello/world")
    see(tab, "Say it (resubmitted)")
    tab.get_by_role("link", name="#2", exact=True).click()
    see(tab, "good day", "#log")


def test_everything_works_without_javascript(site, make_tab):
    """Reading, signing in, canceling and running again need no script."""
    build = site.push(f"echo begun\n{site.wait_at('go')}")
    until(lambda: b"begun" in site.server.step_log(build, 1))
    tab = make_tab(java_script_enabled=False)
    sign_in(tab, site)
    tab.get_by_role("link", name="project", exact=True).click()
    tab.get_by_role("link", name="main").click()
    tab.get_by_role("link", name="#1").click()
    tab.get_by_role("link", name="build").first.click()
    see(tab, "begun", "#log")
    tab.get_by_role("link", name="Load the page again").wait_for()
    tab.get_by_role("button", name="Cancel").click()
    until(lambda: site.server.builds()[0]["is_final"])
    tab.goto(f"{site.server.url}/build/{build}")
    tab.get_by_role("button", name="Run again").click()
    see(tab, "#1", "#head")
    assert not site.server.builds()[0]["is_final"]


def test_the_keyboard_reaches_what_matters(site, make_tab):
    """Skip link, navigation, the buttons of a build and its log, each with a visible focus; and a
    build that ends while its button has the focus is still shown as ended.
    """
    build = site.push(f"echo begun\n{site.wait_at('go')}")
    tab = make_tab()
    sign_in(tab, site)
    tab.goto(f"{site.server.url}/build/{build}")
    see(tab, "begun", "#log")
    reached = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        focus = tab.evaluate(
            """() => { const it = document.activeElement, style = getComputedStyle(it);
               return [it.id || it.textContent.trim(), style.outlineStyle]; }"""
        )
        reached.append(focus[0])
        assert focus[1] != "none", focus
        if focus[0] == "log":
            break
    assert reached[0] == "Skip to the content"
    assert {"Projects", "Queue", "Sign out", "Cancel", "log"} <= set(reached)
    tab.get_by_role("button", name="Cancel").focus()
    site.open_gate("go")
    until(lambda: tab.title().startswith("Succeeded"))
    tab.keyboard.press("Shift+Tab")  # to the link of the job, within the same part
    tab.keyboard.press("Shift+Tab")
    see(tab, "Succeeded", "#head")
