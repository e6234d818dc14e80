"""What the server hears of a real `git push`."""

import subprocess

import pytest

ZERO = "0" * 40


def test_new_branch_is_told_in_one_signed_request(site, listener):
    """The server hears who pushed what to which repository, and can trust it."""
    revision = site.git("rev-parse", "HEAD").strip()
    site.push("main")
    (heard,) = listener.heard
    told = heard.verified()
    assert heard.path == "/hooks/generic/demo"
    assert heard.headers["content-type"] == "application/json"
    assert heard.message_id.startswith("msg_")
    assert told["type"] == "push"
    assert told["timestamp"].endswith("Z")
    assert told["data"] == {
        "repository": str(site.bare),
        "pusher": subprocess.check_output(["id", "-un"], text=True).strip(),
        "options": [],
        "changes": [{"ref": "refs/heads/main", "old": ZERO, "new": revision}],
    }


def test_update_force_push_and_deletion_name_old_and_new(site, listener):
    """Each move of a ref is told with the revision before and after it."""
    first = site.git("rev-parse", "HEAD").strip()
    site.push("main", "main:work")
    second = site.commit()
    site.push("main:work")
    site.git("reset", "--quiet", "--hard", first)
    third = site.git("commit-tree", "-p", first, "-m", "other", "HEAD^{tree}").strip()
    site.push("--force", f"{third}:work")
    site.push("--delete", "work")
    moves = [heard.verified()["data"]["changes"][0] for heard in listener.heard[1:]]
    assert [(move["old"], move["new"]) for move in moves] == [
        (first, second),
        (second, third),
        (third, ZERO),
    ]


def test_three_refs_in_one_push_are_one_request(site, listener):
    """A push is one event, however many refs it moves."""
    site.git("tag", "light")
    site.git("tag", "--annotate", "--message", "noted", "noted")
    site.push("main", "light", "noted")
    (heard,) = listener.heard
    assert sorted(heard.refs()) == ["refs/heads/main", "refs/tags/light", "refs/tags/noted"]


def test_push_options_arrive_in_order(site, listener):
    """`git push -o` works without any further setting and keeps what was typed."""
    site.push("-o", "skip-ci", "-o", "ci.variable=A=b c\u00fc", "main")
    assert listener.heard[0].verified()["data"]["options"] == ["skip-ci", "ci.variable=A=b c\u00fc"]


def test_hostile_push_options_do_not_cost_the_push(site, listener):
    """What the server would not take is left out, and said; the others are told as they are."""
    many = "; ".join(
        f'export GIT_PUSH_OPTION_{number}="$(printf "a\\033[1m%d" {number})"' for number in range(3)
    )
    long = f'export GIT_PUSH_OPTION_3="{"x" * 5000}"; export GIT_PUSH_OPTION_COUNT=999999999'
    said = site.run_hook(
        said=b"%b %b refs/heads/x\n" % (b"0" * 40, b"1" * 40), before=f"{many}; {long}"
    )
    options = listener.heard[0].verified()["data"]["options"]
    assert options[:4] == ["a[1m0", "a[1m1", "a[1m2", ""]
    assert len(options) == 99
    assert said == (
        "ciserver: only the first 100 push options are told to the server\n"
        "ciserver: push option 4 is longer than 4096 bytes and left out\n"
    )


@pytest.mark.parametrize("count", ["-1", "many", "9" * 50, ""])
def test_an_odd_count_of_push_options_is_none(site, listener, count):
    """The variable is the environment's, and anybody may have set it."""
    change = b"%b %b refs/heads/x\n" % (b"0" * 40, b"1" * 40)
    site.run_hook(said=change, before=f'export GIT_PUSH_OPTION_COUNT="{count}"')
    assert listener.heard[0].verified()["data"]["options"] == []


def test_pusher_is_who_the_git_hosting_names(site, listener):
    """Where many people share one unix user, the hosting's own name is told."""
    site.environment["GL_USER"] = "grace"
    site.push("main")
    assert listener.heard[0].verified()["data"]["pusher"] == "grace"


@pytest.mark.parametrize(
    "branch",
    [
        "it's",
        'say"so"',
        "$(touch${IFS}pwned)",
        "`id`;&|",
        "gr\u00fc\u00df\u4e16",
        "a\u2028b\u0085c",
        "-o",
        "%s%n",
    ],
)
def test_hostile_ref_name_is_only_text(site, listener, branch):
    """Whatever git allows in a name reaches the server unchanged and runs nothing."""
    site.push(f"main:refs/heads/{branch}")
    assert listener.heard[0].refs() == [f"refs/heads/{branch}"]
    assert not list(site.bare.rglob("pwned"))


def test_name_that_is_not_utf8_still_makes_sound_json(site, listener):
    """A stray byte in a ref does not cost the push its build."""
    site.run_hook(said=b"%b %b refs/heads/\xff\n" % (b"0" * 40, b"1" * 40))
    assert listener.heard[0].refs() == ["refs/heads/\ufffd"]


def test_hook_without_changes_is_silent(site, listener):
    """No ref moved, so there is nothing to tell."""
    assert site.run_hook() == ""
    assert listener.heard == []


def test_hook_can_be_called_by_another_hook(site, listener):
    """Who has a hook already keeps it and hands on what it reads, as the README shows."""
    hook = site.bare / "hooks" / "post-receive"
    hook.rename(hook.with_suffix(".ciserver"))
    hook.write_text(
        "#!/bin/sh\nchanges=$(cat)\n"
        'printf "%s\\n" "$changes" | "$GIT_DIR/hooks/post-receive.ciserver"\n'
        "echo mine too\n"
    )
    hook.chmod(0o755)
    assert "mine too" in site.push("-o", "skip-ci", "main")
    assert listener.heard[0].refs() == ["refs/heads/main"]
    assert listener.heard[0].verified()["data"]["options"] == ["skip-ci"]
