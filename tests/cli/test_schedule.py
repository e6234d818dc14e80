"""`ciserver schedule`: made, listed, fired, paused and removed by command."""

import json

import pytest
from support.repositories import Repository
from support.waiting import until

pytestmark = pytest.mark.e2e

RECIPE = "image: host\ntasks:\n  - work: echo worked\nwhen:\n  kinds: [nightly]\n"


@pytest.fixture(scope="module")
def jobset(online, tmp_path_factory):
    """A jobset with a nightly job and nothing that is pushed."""
    repository = Repository(tmp_path_factory.mktemp("repositories"), "nights")
    repository.commit({".build.yml": RECIPE, "work.sh": "echo $SIZE work\n"})
    repository.push()
    online.cli("watch", str(repository.bare), "--name", "nights")
    return "nights:main"


@pytest.fixture
def add(online, jobset):
    """Adds a schedule by command; answers what was printed. It is removed at the end."""
    added = []

    def add(*options):
        said = online.cli("schedule", "add", jobset, *options).stdout
        added.append(said.strip())
        return said

    yield add
    for one in added:
        online.cli("schedule", "remove", one, check=False)


def listed(online):
    return json.loads(online.cli("schedule", "list", "-o", "json").stdout)


def shown(online, schedule_id):
    return json.loads(online.cli("schedule", "show", schedule_id, "-o", "json").stdout)


def refusal(online, *arguments):
    """(exit code, what was said) of a command that does not succeed."""
    done = online.cli("schedule", *arguments, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_add_prints_the_id_alone(online, add):
    """Standard output is the number, for scripts; the schedule is what was asked for."""
    said = add("--cron", "0 3 * * mon-fri", "--zone", "Europe/Berlin", "--last-good")
    assert said == f"{int(said)}\n"
    made = shown(online, said.strip())
    assert (made["jobset"], made["kind"], made["declared_by"]) == (
        "nights:main",
        "nightly",
        "command",
    )
    assert (made["when"], made["last_good"]) == ("cron 0 3 * * mon-fri, Europe/Berlin", True)


@pytest.mark.parametrize(
    ("options", "when", "only_if_changed"),
    [
        (["--every", "90m"], "every 90 minutes", True),
        (["--every", "90"], "every 90 minutes", True),
        (["--every", "6h", "--always"], "every 6 hours", False),
        (["--every", "2d"], "every 2 days", True),
        (["--every", "60s", "--kind", "periodic"], "every minute", False),
        (["--every", "1h", "--kind", "periodic", "--only-if-changed"], "every hour", True),
        (["--hours", "1, 13"], "at 01:00, 13:00 UTC", True),
        (["--hours", "1", "--minutes", "15,45", "--kind", "pgo"], "at 01:15, 01:45 UTC", True),
    ],
)
def test_every_way_to_say_when(online, add, options, when, only_if_changed):
    """Intervals with a unit, hours with minutes, and what the kind does by itself."""
    made = shown(online, add(*options).strip())
    assert (made["when"], made["only_if_changed"]) == (when, only_if_changed)


def test_of_a_script(online, add, jobset):
    """Where the jobset has one: what is built is that, and not the recipe."""
    code, said = refusal(online, "add", jobset, "--hours", "4", "--script")
    assert (code != 0, "nights:main has no script to run" in said) == (True, True)
    online.cli("jobset", "set", jobset, "--script", "work.sh", "--parameters", "SIZE=small")
    number = add("--hours", "4", "--script").strip()
    assert shown(online, number)["script"] is True
    online.cli("schedule", "fire", number)
    until(lambda: shown(online, number)["firings"][0]["result"] == "1 of 1 builds good")
    newest = json.loads(online.cli("list", "-o", "json").stdout)["builds"][0]
    assert newest["job"] == "work.sh"
    assert "small work" in online.cli("log", str(newest["id"])).stdout


def test_listed_for_people_and_programs(online, add):
    """The table says when it is due and what came of the last time; JSON has every field."""
    number = add("--cron", "0 3 * * *").strip()
    text = online.cli("schedule", "list").stdout
    assert text.splitlines()[0].split() == [
        "ID", "JOBSET", "KIND", "WHEN", "NEXT", "LAST", "WARNING",
    ]  # fmt: skip
    (line,) = [one for one in text.splitlines() if one.split()[0] == number]
    assert "cron 0 3 * * *, UTC" in line
    assert "never fired" in line
    (found,) = [one for one in listed(online) if str(one["id"]) == number]
    assert found["next_due_at"].endswith("+00:00") or found["next_due_at"].endswith("Z")


def test_fired_by_hand(online, add):
    """The address of the evaluation is printed alone; the history shows what came of it, and a
    second time the same revision is built again.
    """
    number = add("--cron", "0 3 * * *").strip()
    for count in (1, 2):
        (url,) = online.cli("schedule", "fire", number).stdout.splitlines()
        assert url.startswith(f"{online.url}/eval/")
        until(
            lambda: shown(online, number)["firings"][0]["result"] == "1 of 1 builds good",
            what="the build to end",
        )
        assert len(shown(online, number)["firings"]) == count
    text = online.cli("schedule", "show", number).stdout.splitlines()
    assert text[0] == f"schedule {number} of nights:main: nightly, cron 0 3 * * *, UTC"
    assert text[1].startswith("next due ")
    assert text[2].split() == ["DUE", "EVALUATION", "MISSED", "BEFORE", "RESULT"]
    assert len(text) == 5


def test_paused_and_resumed(online, add):
    """Lists and pages say so; resuming says when it is due next."""
    number = add("--cron", "0 3 * * *").strip()
    assert online.cli("schedule", "pause", number).stdout == f"schedule {number} is paused\n"
    assert online.cli("schedule", "show", number).stdout.splitlines()[1] == "paused"
    (line,) = [
        one
        for one in online.cli("schedule", "list").stdout.splitlines()
        if one.split()[0] == number
    ]
    assert " paused " in line
    said = online.cli("schedule", "resume", number).stdout
    assert said.startswith(f"schedule {number}")
    assert said.endswith(f" {shown(online, number)['next_due_at']}\n")


def test_removed(online, add):
    """It is in no list, and every command about it is exit 4."""
    number = add("--cron", "0 3 * * *").strip()
    assert online.cli("schedule", "remove", number).stdout == f"schedule {number} is removed\n"
    assert number not in [str(one["id"]) for one in listed(online)]
    for command in ("show", "fire", "pause", "resume", "remove"):
        code, said = refusal(online, command, number)
        assert (code, f"no schedule {number}" in said) == (4, True)


def test_the_pgo_strategy(online, jobset, add):
    """It is said back, and a PGO schedule that it idles warns."""
    number = add("--kind", "pgo", "--every", "6h").strip()
    said = online.cli("schedule", "pgo-strategy", jobset, "manual").stdout
    assert said == f"the PGO strategy of {jobset} is manual\n"
    assert "warning: the PGO strategy" in online.cli("schedule", "show", number).stdout
    online.cli("schedule", "pgo-strategy", jobset, "periodic")
    assert shown(online, number)["warnings"] == []
    assert refusal(online, "pgo-strategy", jobset, "often")[0] == 2
    assert refusal(online, "pgo-strategy", "nights:other", "none")[0] == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cron", "0 3 30 2 *"], "never due"),
        (["--cron", "0 3 * * *", "--zone", "Europe/Berlim"], "did you mean Europe/Berlin?"),
        (["--every", "59s"], "59 is too short"),
        (["--every", "0"], "does not say when"),
        (["--every", "soon"], "--every: soon is not an interval such as 90m or 6h"),
        (["--every", "m"], "--every: m is not an interval"),
        (["--hours", "1,x,y"], "--hours: y is not a number"),
        (["--hours", "25"], "25 is not an hour of the day"),
        (["--minutes", "5"], "has no meaning without hours"),
        (["--cron", "@daily", "--every", "5m"], "says when in 2 ways"),
        (["--cron", "@daily", "--ref", "refs/heads/../x"], "ref"),
        (["--cron", "@daily", "--kind", "hourly"], "hourly"),
        ([], "does not say when"),
    ],
)
def test_bad_input_is_exit_2(online, jobset, options, said):
    """With what is wrong on standard error; nothing is made."""
    before = listed(online)
    code, told = refusal(online, "add", jobset, *options)
    assert code == 2
    assert said in told
    assert listed(online) == before


def test_ten_faults_at_once(online, jobset):
    """A line for each, with the part of the cron line that it is in."""
    code, told = refusal(online, "add", jobset, "--cron", "60,61 24,25 0,32 0,13 8,9")
    assert code == 2
    parts = ("minute", "hour", "day of month", "month", "day of week")
    assert [told.count(f"cron.{part}: ") for part in parts] == [2] * 5


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("nobody", "project nobody"),
        ("nobody:main", "project nobody"),
        ("nights:other", "jobset nights:other"),
        ("", "project"),
    ],
)
def test_an_unknown_jobset_is_exit_2(online, jobset, name, missing):
    """It is named."""
    code, told = refusal(online, "add", name, "--cron", "@daily")
    assert code == 2
    assert f"jobset: there is no {missing}" in told


def test_without_a_server(offline):
    """The commands work on the data directory; what is made waits for the server."""
    repository = Repository(offline.data.parent / "repositories")
    offline.cli("watch", str(repository.bare), "--name", "nights")
    assert offline.cli("schedule", "add", "nights", "--every", "6h").stdout == "1\n"
    (one,) = json.loads(offline.cli("schedule", "list", "-o", "json").stdout)
    assert one["when"] == "every 6 hours"
