"""The story that every generated client tells: see ../run.py."""

import os
from http import HTTPStatus

from countersign_client import AuthenticatedClient, Client
from countersign_client.api.accounts import create_account
from countersign_client.api.sessions import count_visit, end_session, get_session, list_sessions, log_in, log_out
from countersign_client.models import Account, Code, Credentials, Problem, SignUp, TokenTransport
from countersign_client.types import UNSET

BASE_URL, EMAIL, PASSWORD = (os.environ[name] for name in ("BASE_URL", "EMAIL", "PASSWORD"))


def log_in_by(transport: TokenTransport):
    """A client with a token; or with the cookie, which httpx keeps."""
    client = Client(base_url=BASE_URL)
    credentials = Credentials(email=EMAIL, password=PASSWORD, transport=transport)
    answer = log_in.sync_detailed(client=client, body=credentials)
    assert answer.status_code == HTTPStatus.CREATED, answer
    print(f"logged in by {transport}")
    if transport is TokenTransport.COOKIE:
        assert answer.parsed.token is UNSET
        return client
    return AuthenticatedClient(base_url=BASE_URL, token=answer.parsed.token)


def count_three(client):
    counted = [count_visit.sync(client=client).visits for _ in range(3)]
    assert counted == [1, 2, 3], counted
    print("counted", *counted)


def refused(client):
    answer = get_session.sync_detailed(client=client)
    assert answer.status_code == HTTPStatus.UNAUTHORIZED, answer
    assert isinstance(answer.parsed, Problem)
    assert answer.parsed.code is Code.NOT_SIGNED_IN, answer.parsed
    print(f"refused with {answer.parsed.code}")


def log_out_of(client):
    assert log_out.sync_detailed(client=client).status_code == HTTPStatus.NO_CONTENT
    print("logged out")


anonymous = Client(base_url=BASE_URL)
account = create_account.sync(client=anonymous, body=SignUp(email=EMAIL, password=PASSWORD))
assert isinstance(account, Account)
assert account.email == EMAIL
assert account.created_at.tzinfo is not None
print("signed up")
again = create_account.sync(client=anonymous, body=SignUp(email=EMAIL, password=PASSWORD))
assert again.code is Code.EMAIL_TAKEN, again
print(f"refused with {again.code}")

program = log_in_by(TokenTransport.BEARER)
count_three(program)
browser = log_in_by(TokenTransport.COOKIE)
count_three(browser)

sessions = list_sessions.sync(client=program)
assert len(sessions) == 2, sessions
[other] = [session for session in sessions if not session.current]
print("listed 2 sessions")
assert end_session.sync_detailed(other.sid, client=program).status_code == HTTPStatus.NO_CONTENT
print("ended the other one")
refused(browser)

log_out_of(program)
refused(program)
browser = log_in_by(TokenTransport.COOKIE)
log_out_of(browser)
refused(browser)
print("done")
