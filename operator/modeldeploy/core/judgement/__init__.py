"""What the metrics say of a revision: questions, evidence, verdicts.

One look: ask `queries`, fold the answers into the evidence with `advance`, and read the verdicts off it with
`assess`. Nothing here reads a clock or remembers anything; a replay of the same answers gives the same
verdicts.
"""

from modeldeploy.core.judgement.advance import advance
from modeldeploy.core.judgement.assess import assess, off_weight, requests
from modeldeploy.core.judgement.drift_history import (
    history_spec,
    history_steps,
    lacks_history,
    with_history,
    without_clumps,
)
from modeldeploy.core.judgement.drift_verdict import BEYOND_WARN
from modeldeploy.core.judgement.drifting import References, histogram, snapshot_queries, windows
from modeldeploy.core.judgement.own import own, single
from modeldeploy.core.judgement.problems import problems
from modeldeploy.core.judgement.queries import (
    Answer,
    Counters,
    NoData,
    Number,
    Query,
    QueryFailed,
    by_name,
    narrowed,
    owner,
    place,
    queries,
    share_out,
    together,
)
from modeldeploy.core.judgement.roles import Roles
from modeldeploy.core.judgement.state import Evidence
from modeldeploy.core.judgement.table import Layout, Row, Table
from modeldeploy.core.judgement.wording import bounds, reference, span, statistic

__all__ = [
    "BEYOND_WARN",
    "Answer",
    "Counters",
    "Evidence",
    "Layout",
    "NoData",
    "Number",
    "Query",
    "QueryFailed",
    "References",
    "Roles",
    "Row",
    "Table",
    "advance",
    "assess",
    "bounds",
    "by_name",
    "histogram",
    "history_spec",
    "history_steps",
    "lacks_history",
    "narrowed",
    "off_weight",
    "own",
    "owner",
    "place",
    "problems",
    "queries",
    "reference",
    "requests",
    "share_out",
    "single",
    "snapshot_queries",
    "span",
    "statistic",
    "together",
    "windows",
    "with_history",
    "without_clumps",
]
