"""A client, and the words that it is answered in."""

import base64
import json

from falcon.testing import TestClient

PASSWORD = "correct horse battery"
PARAMS = 'lst=libs externalarch=\\"x86_64\\" PRODUCTNAME=ROSA.2012'
LISTS = "/api/v1/product_build_lists"
FORBIDDEN = {"message": "Access violation to this page!"}
NOT_FOUND = {"status": 404, "message": "Error 404. Resource not found!"}
NOT_SIGNED_IN = {"error": "You need to sign in or sign up before continuing."}
WRONG_PROOF = {"error": "Invalid email or password."}


class Client:
    """A program that speaks to the server as one user, or as nobody."""

    def __init__(self, app, name="", password=""):
        headers = {}
        if name or password:
            pair = base64.b64encode(f"{name}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        self.http = TestClient(app, headers=headers)

    def ask(self, method, path, body=None, **rest):
        """Ask with JSON, or with bytes as they are."""
        if isinstance(body, bytes):
            rest["body"] = body
        elif body is not None:
            rest |= {"body": json.dumps(body), "headers": {"Content-Type": "application/json"}}
        answer = self.http.simulate_request(method, path, **rest)
        assert answer.status_code >= 300 or answer.headers["etag"], "a client would crash"
        return answer

    def get(self, path, **rest):
        return self.ask("GET", path, **rest)

    def show(self, build_id):
        answer = self.get(f"{LISTS}/{build_id}.json")
        assert answer.status_code == 200, answer.text
        return answer.json["product_build_list"]

    def create(self, path=f"{LISTS}.json", **fields):
        return self.ask("POST", path, {"product_build_list": fields})


def message(answer):
    """What a refusal says about a list."""
    assert answer.status_code == 422, answer.text
    assert answer.json["product_build_list"].keys() == {"id", "message"}
    assert answer.json["product_build_list"]["id"] is None
    return answer.json["product_build_list"]["message"]
