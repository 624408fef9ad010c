"""Which columns a person sees of what the scheduler keeps: events, secrets, datasets, tokens."""

import json

from cli.output import Columns
from easel_sdk.types import Dataset, Event, Secret, Token

EVENTS: Columns[Event] = (
    ("AGE", lambda each: each.at),
    ("KIND", lambda each: each.kind),
    ("REASON", lambda each: each.reason),
    ("SUBJECT", lambda each: each.subject),
    ("WHY", lambda each: each.why),
)
SECRETS: Columns[Secret] = (
    ("SECRET", lambda each: each.name),
    ("KEYS", lambda each: ",".join(each.keys)),
    ("AGE", lambda each: each.created_at),
    ("CHANGED", lambda each: each.updated_at),
    ("USED BY", lambda each: ",".join(each.used_by)),
    ("WHY", lambda each: each.why),
)
DATASETS: Columns[Dataset] = (
    ("DATASET", lambda each: each.id),
    ("VERSION", lambda each: each.version),
    ("SOURCE", lambda each: json.dumps(each.source)),
    ("AGE", lambda each: each.created_at),
    ("USED BY", lambda each: ",".join(each.used_by)),
    ("DESCRIPTION", lambda each: each.description),
)
TOKENS: Columns[Token] = (
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("ROLE", lambda each: each.role),
    ("AGE", lambda each: each.created_at),
)
