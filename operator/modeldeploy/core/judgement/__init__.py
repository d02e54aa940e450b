"""What the metrics say of a revision: questions, evidence, verdicts.

One look: ask `queries`, fold the answers into the evidence with `advance`, and read the verdicts off it with
`assess`. Nothing here reads a clock or remembers anything; a replay of the same answers gives the same
verdicts.
"""

from modeldeploy.core.judgement.advance import advance
from modeldeploy.core.judgement.assess import assess, requests
from modeldeploy.core.judgement.problems import problems
from modeldeploy.core.judgement.queries import (
    Answer,
    Counters,
    NoData,
    Number,
    Query,
    QueryFailed,
    Row,
    apart,
    narrowed,
    queries,
    share_out,
    single,
    together,
)
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Evidence
from modeldeploy.core.judgement.wording import reference, statistic

__all__ = [
    "Answer",
    "Counters",
    "Evidence",
    "NoData",
    "Number",
    "Query",
    "QueryFailed",
    "Roles",
    "Row",
    "advance",
    "apart",
    "assess",
    "narrowed",
    "problems",
    "queries",
    "reference",
    "requests",
    "share_out",
    "single",
    "statistic",
    "together",
]
