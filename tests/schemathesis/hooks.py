"""Who schemathesis is: somebody who logs in anew for every request, since many requests end the session that they
are sent with. With ADMINISTRATOR an administrator, who looks at an account that is there, and at its sessions."""

import base64
import itertools
import json
import os
import subprocess
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
        if "ADMINISTRATOR" in os.environ:
            command = [os.environ["ADMINISTRATOR"], "account", "role", credentials["email"], "admin"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={})
        return post("/api/v1/session", log_in)["token"]

    def set(self, case, token, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {token}"


# The same requests on every run.
NUMBERS = itertools.count()

if "ADMINISTRATOR" in os.environ:

    @schemathesis.hook
    def map_path_parameters(context, parameters):
        """Ids that are there, for three in four requests: none that is made up ever is."""
        if parameters and "id" in parameters and next(NUMBERS) % 4:
            account, session = somebody()
            named = {"id": account} | ({"sid": session} if "sid" in parameters else {})
            return parameters | named
        return parameters


def somebody():
    """An account that is there, and a session of it."""
    credentials = {"email": "somebody@example.com", "password": os.environ["PASSWORD"]}
    log_in = credentials | {"transport": "bearer"}
    try:
        session = post("/api/v1/session", log_in)
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        # Disabled by a request before: another one.
        credentials["email"] = log_in["email"] = f"somebody{next(NUMBERS)}@example.com"
        post("/api/v1/accounts", credentials)
        session = post("/api/v1/session", log_in)
    payload = session["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims["sub"], claims["sid"]


def post(path, body):
    url, headers = os.environ["BASE_URL"] + path, {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)
