"""What the pusher reads on the terminal."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


def _said(output: str) -> list[str]:
    lines = (line.removeprefix("remote: ").rstrip() for line in output.splitlines())
    return [line for line in lines if line.startswith("ciserver: ")]


def _evaluations(count: int) -> dict:
    urls = [f"https://ci.example.org/e/{number}" for number in range(count)]
    return {"id": 1, "evaluations": [{"id": 1, "url": url} for url in urls], "ignored": ""}


def test_addresses_of_evaluations_are_shown(site, listener):
    """The pusher gets a link to each evaluation."""
    listener.answers.append((202, _evaluations(2)))
    assert _said(site.push("main")) == [
        "ciserver: https://ci.example.org/e/0",
        "ciserver: https://ci.example.org/e/1",
    ]


def test_many_evaluations_are_summed_up(site, listener):
    """More than ten links are counted, not listed."""
    listener.answers.append((202, _evaluations(13)))
    said = _said(site.push("main"))
    assert len(said) == 11
    assert said[-1] == "ciserver: and 3 more"


def test_lines_of_the_server_are_shown(site, listener):
    """The server says itself what there is to know; what is no list of texts harms nothing."""
    lines = ["Build(s) started:", "https://ci.example.org/build/1 [build]\nmore", 3]
    listener.answers.append((202, {**_evaluations(1), "lines": lines}))
    assert _said(site.push("main")) == [
        "ciserver: Build(s) started:",
        "ciserver: https://ci.example.org/build/1 [build]",
        "ciserver: 3",
    ]


def test_what_is_not_yet_known_is_asked_for_again(site, listener):
    """The same message is sent until the server knows more, and the last answer is shown."""
    for pending, line in ((True, "reading"), (True, "reading"), (False, "built")):
        listener.answers.append((202, {"pending": pending, "lines": [line]}))
    assert _said(site.push("main")) == ["ciserver: built"]
    assert len({(one.message_id, one.body) for one in listener.heard}) == 1
    assert len(listener.heard) == 3


def test_those_who_ask_for_more_do_not_hold_up_each_other(site, listener):
    """Pushes that come together are all sent at once; who only wants to know more has sent."""
    pending = (202, {"pending": True, "lines": ["requested"]})
    listener.answers.extend([pending] * 1000)
    change = b"%b %b refs/heads/x\n" % (b"0" * 40, b"1" * 40)
    with ThreadPoolExecutor(5) as pushers:
        said = list(pushers.map(lambda _: site.run_hook(said=change), range(5)))
    assert said == ["ciserver: requested\n"] * 5
    assert site.kept() == []


@pytest.mark.parametrize("later", [(500, {}), (429, {}), (404, {}), b""])
def test_a_push_that_was_taken_stays_taken(site, listener, later):
    """Whatever is answered to the question for more: the first answer stands, nothing is kept."""
    listener.answers.extend([(202, {"pending": True, "lines": ["requested"]}), later])
    assert _said(site.push("main")) == ["ciserver: requested"]
    assert site.kept() == []


def test_a_slow_server_is_not_asked_for_long(site, listener):
    """Half a second is what a pusher waits for more; what is known by then is shown."""
    listener.answers.extend([(202, {"pending": True, "lines": ["requested"]})] * 1000)
    assert _said(site.push("main")) == ["ciserver: requested"]
    assert 1 < len(listener.heard) < 20


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, {"ignored": "no jobset watches it"}, ["ciserver: not built: no jobset watches it"]),
        (
            403,
            {"error": {"code": "x", "message": "wrong secret\nsecond", "hint": "h"}},
            ["ciserver: refused: wrong secret"],
        ),
        (404, "gone", ["ciserver: refused: HTTP status 404"]),
        (202, ["not", "an", "object"], []),
        (202, {"evaluations": [1, {"id": 2}, None]}, []),
        (202, {"evaluations": "many"}, []),
    ],
)
def test_answer_is_told_in_a_line(site, listener, status, content, expected):
    """Ignored and refused pushes say why; an odd answer harms nothing. None of them is kept."""
    listener.answers.append((status, content))
    assert _said(site.push("main")) == expected
    assert site.kept() == []


def test_control_characters_of_the_server_do_not_reach_the_terminal(site, listener):
    """A server cannot move the cursor, set colours or turn text round."""
    nasty = "a\x1b[31mb\x07\x9bc\u202ed\re"
    listener.answers.append((403, {"error": {"message": nasty}}))
    said = site.run_hook(said=b"%b %b refs/heads/x\n" % (b"0" * 40, b"1" * 40))
    assert said == "ciserver: refused: a[31mbcd\n"


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 202 Yes\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n",
        "HTTP/1.0 202 Yes\r\n\r\n{body}",
        "HTTP/1.1 202\r\nContent-Length: {size}\r\n\r\n{body}",
    ],
    ids=["chunked", "until the end", "with length"],
)
def test_all_forms_of_a_body_are_read(site, listener, head):
    """Proxies put answers into other forms than servers do."""
    body = json.dumps(_evaluations(1))
    listener.answers.append(head.format(size=len(body), body=body).encode())
    assert _said(site.push("main")) == ["ciserver: https://ci.example.org/e/0"]


def test_endless_answer_is_cut(site, listener):
    """A flood from the server is not read to its end; the push counts as taken."""
    listener.answers.append(b"HTTP/1.1 202 Yes\r\n\r\n" + b"x" * 5_000_000)
    assert _said(site.push("main")) == []
    assert site.kept() == []


def test_refusal_before_the_end_of_a_large_push_is_heard(site, listener):
    """A body the server does not want to read is refused, not kept for ever."""
    listener.stop()
    changes = b"".join(
        b"%040d %040d refs/heads/%0100d\n" % (0, 1, number) for number in range(20_000)
    )

    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", listener.port)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        refusing = threading.Thread(target=refuse, args=(server,))
        refusing.start()
        said = site.run_hook(said=changes)
        refusing.join()
    assert said == "ciserver: refused: HTTP status 413\n"
