"""Whether a program that knows the released OpenAPI document works with this one. `just compatible`.

redocly rates each change by the version that it asks for. What it cannot know is when a new code is none that an old
program meets: when no operation that there was answers it."""

import concurrent.futures
import json
import pathlib
import sys

from tools import DOCUMENT, OPENAPI, ask, changed, install

RELEASED = OPENAPI / "released.json"
CODES = "#/components/schemas/Code/enum"


def main() -> int:
    install()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        fooled = [name for name in pool.map(is_misjudged, [*BREAKING, *SOUND]) if name]
    if fooled:
        print(f"misjudged: {', '.join(fooled)}")
        return 1
    found = breaking(RELEASED, DOCUMENT)
    print("\n".join(found) or f"compatible with {RELEASED.name}; {len(BREAKING)} documents that are not are seen")
    return 1 if found else 0


def breaking(old, new) -> list[str]:
    answer = ask("redocly", "diff", old, new)
    verdicts = [verdict for change in answer["changes"] for verdict in change["verdicts"]]
    found = [
        f"{verdict['ruleId']}: {verdict['message']} at {verdict['location']['pointer']}"
        for verdict in verdicts
        if verdict["impact"] == "major"
        and not (verdict["ruleId"] == "enum-values-added" and verdict["location"]["pointer"] == CODES)
    ]
    return found + new_codes(json.loads(pathlib.Path(old).read_text()), json.loads(pathlib.Path(new).read_text()))


def new_codes(old, new) -> list[str]:
    known, before, now = set(old["components"]["schemas"]["Code"]["enum"]), codes(old), codes(new)
    return [
        f"new-code: {operation} answers {code}, which no client of the release knows"
        for operation in before.keys() & now.keys()
        for code in sorted(now[operation] - known)
    ]


def codes(document) -> dict[str, set[str]]:
    """What each operation can answer."""
    return {
        operation["operationId"]: {
            code
            for answer in operation["responses"].values()
            for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
        }
        for path in document["paths"].values()
        for operation in path.values()
    }


def is_misjudged(name):
    """The name of a change that is not seen for what it is."""
    change = BREAKING.get(name) or SOUND[name]
    found = breaking(RELEASED, changed(name, change, RELEASED))
    return None if bool(found) == (name in BREAKING) else name


def schema(document, name):
    return document["components"]["schemas"][name]


def session(document):
    return document["paths"]["/api/v1/session"]


def answer_a_new_code(document):
    schema(document, "Code")["enum"].append("out_of_order")
    problem = session(document)["get"]["responses"]["401"]["content"]["application/problem+json"]
    problem["examples"]["out_of_order"] = {"value": {}}


def add_an_operation_with_a_new_code(document):
    path = json.loads(json.dumps(session(document)))
    document["paths"]["/api/v1/new"] = {"get": path["get"] | {"operationId": "getNew"}}
    schema(document, "Code")["enum"].append("out_of_order")
    problem = document["paths"]["/api/v1/new"]["get"]["responses"]["401"]["content"]["application/problem+json"]
    problem["examples"]["out_of_order"] = {"value": {}}


BREAKING = {
    "an-operation-is-gone": lambda document: session(document).pop("delete"),
    "an-operation-has-another-name": lambda document: session(document)["get"].update(operationId="look"),
    "a-value-is-gone": lambda document: schema(document, "Session")["properties"].pop("visits"),
    "a-value-may-be-missing": lambda document: schema(document, "Session")["required"].remove("visits"),
    "a-value-has-another-type": lambda document: schema(document, "Session")["properties"]["visits"].update(type="string"),
    "more-must-be-sent": lambda document: schema(document, "Credentials")["required"].append("remember"),
    "less-may-be-sent": lambda document: schema(document, "TokenTransport")["enum"].remove("bearer"),
    "a-success-is-gone": lambda document: session(document)["post"]["responses"].pop("201"),
    "a-way-to-log-in-is-gone": lambda document: session(document)["get"]["security"].pop(0),
    "an-operation-answers-a-new-code": answer_a_new_code,
}

SOUND = {
    "nothing": lambda document: None,
    "other-words": lambda document: schema(document, "Session").update(description="A login."),
    "more-may-be-sent": lambda document: schema(document, "Credentials")["properties"].update(device={"type": "string"}),
    "more-is-answered": lambda document: schema(document, "Session")["properties"].update(device={"type": "string"}),
    "an-operation-is-new-and-has-a-new-code": add_an_operation_with_a_new_code,
}


if __name__ == "__main__":
    sys.exit(main())
