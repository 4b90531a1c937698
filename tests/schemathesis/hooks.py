"""Who schemathesis is: somebody who logs in anew for every request, since many requests end the session that they
are sent with."""

import json
import os
import urllib.request

import schemathesis


@schemathesis.hook
def before_load_schema(context, document):
    """Unknown members of a request are refused. poem-openapi has no way to write that down, so it is added here, and
    tested with the rest."""
    for path in document["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                document["components"]["schemas"][reference.split("/")[-1]]["additionalProperties"] = False


@schemathesis.auth(refresh_interval=None)
class LogIn:
    def get(self, case, context):
        credentials = {"email": os.environ["EMAIL"], "password": os.environ["PASSWORD"], "transport": "bearer"}
        request = urllib.request.Request(
            os.environ["BASE_URL"] + "/api/v1/session",
            data=json.dumps(credentials).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["token"]

    def set(self, case, token, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {token}"
