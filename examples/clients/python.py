# openapi-python-client generate --path openapi/countersign.yaml
import os

from countersign_client import AuthenticatedClient, Client
from countersign_client.api.sessions import count_visit, log_in, log_out
from countersign_client.models import Credentials, Problem, TokenTransport

url, email, password = (os.environ[name] for name in ("BASE_URL", "EMAIL", "PASSWORD"))
credentials = Credentials(email=email, password=password, transport=TokenTransport.BEARER)
session = log_in.sync(client=Client(base_url=url), body=credentials)
if isinstance(session, Problem):
    raise SystemExit(session.code)

client = AuthenticatedClient(base_url=url, token=session.token)
print("visit number", count_visit.sync(client=client).visits)
log_out.sync(client=client)
