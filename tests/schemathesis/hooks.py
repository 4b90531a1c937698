"""Who schemathesis is: somebody who logs in anew for every request, since many requests end the session that they
are sent with."""

import json
import os
import urllib.error
import urllib.request

import schemathesis


@schemathesis.auth(refresh_interval=None)
class LogIn:
    def get(self, case, context):
        credentials = {"email": os.environ["EMAIL"], "password": os.environ["PASSWORD"]}
        log_in = credentials | {"transport": "bearer"}
        try:
            return post("/api/v1/session", log_in)["token"]
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        # The first request of all, or one before has closed the account or given it another address.
        post("/api/v1/accounts", credentials)
        return post("/api/v1/session", log_in)["token"]

    def set(self, case, token, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {token}"


def post(path, body):
    url, headers = os.environ["BASE_URL"] + path, {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
