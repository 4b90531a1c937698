"""Two linters read the OpenAPI document, with the rules in openapi/. `just lint-openapi`. A warning fails as an error
does: what nobody has to mend is turned off in the rules, with the reason."""

import sys

from tools import DOCUMENT, OPENAPI, ask, changed, install


def main() -> int:
    install()
    # A linter that finds nothing in a document with a flaw looks at nothing.
    flawed = changed("flawed", lambda document: document["paths"]["/api/v1/session"]["get"].pop("operationId"))
    for linter in (redocly, spectral):
        if not list(linter(flawed)):
            print(f"{linter.__name__} finds nothing where there is something")
            return 1
    documents = [DOCUMENT, OPENAPI / "countersign.yaml"]
    found = [line for document in documents for line in [*redocly(document), *spectral(document)]]
    print("\n".join(found) or "redocly and spectral have nothing to say of the OpenAPI document")
    return 1 if found else 0


def redocly(document):
    answer = ask("redocly", "lint", document, "--config", OPENAPI / "redocly.yaml", "--max-problems", "1000")
    for problem in answer["problems"]:
        where = problem["location"][0]["pointer"]
        yield f"{document.name}: redocly: {problem['severity']} {problem['ruleId']}: {problem['message']} at {where}"


def spectral(document):
    for problem in ask("spectral", "lint", document, "--ruleset", OPENAPI / "spectral.yaml", "--quiet"):
        where = "/".join(map(str, problem["path"]))
        yield f"{document.name}: spectral: {problem['code']}: {problem['message']} at {where}"


if __name__ == "__main__":
    sys.exit(main())
