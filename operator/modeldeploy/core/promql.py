"""Users' PromQL: understood before it is asked, and confined to one namespace.

A confined query is the user's text with one matcher more in every selector, never a reprint of the parsed
expression: `promql-parser` prints label values without escaping them, so that a value could close its own
    quotes. The confined text is parsed again and every selector looked at; what cannot be shown to be
    confined is refused.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import promql_parser as promql

_TOKEN = re.compile(
    r"""\s+
    | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[0-9A-Za-z]*)
    | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_GROUPINGS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = _GROUPINGS | {"and", "or", "unless", "bool", "offset", "atan2", "inf", "nan"}
_PLACEHOLDER = re.compile(r"\$(revision|namespace|name)\b")
_GROWTH = frozenset({"rate", "irate", "increase", "delta", "idelta", "deriv"})
_REFUSED = {
    "`": "a backquoted string; use double quotes",
    "#": "a comment; leave it out",
}


class QueryError(ValueError):
    """A query that is not asked. Its text is one sentence that names fault and mend."""


def substitute(query: str, *, namespace: str, name: str, revision: str) -> str:
    """The query with `$namespace`, `$name` and `$revision` replaced; other dollars (`$1`) stay.

    The three values are names of Kubernetes objects, so none of them holds a quote or a backslash.
    """
    values = {"namespace": namespace, "name": name, "revision": revision}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], query)


@lru_cache(maxsize=2048)
def confine(query: str, namespace: str) -> str:
    """The query, able to read series of `namespace` only.

    Raises:
        QueryError: it doesn't parse, doesn't yield a number, or can't be confined.
    """
    before = _parse(query)
    _check_result(before)
    text = "".join(_inserted(query, f'namespace="{namespace}"'))
    selectors = list(_selectors(_parse(text)))
    if len(selectors) != len(list(_selectors(before))) or not all(
        _is_confined(selector, namespace) for selector in selectors
    ):
        raise QueryError(
            'cannot be confined to the object\'s namespace; write each selector as name{label="value"}'
        )
    return text


def check_counters(query: str) -> None:
    """Whether the query yields counters as they stand: their growth is taken by the judgement, pod by pod.

    Raises:
        QueryError: it takes a rate already, or yields a number of its own.
    """
    expression = _parse(query)
    for call in _nodes(expression):
        if isinstance(call, promql.Call) and call.func.name in _GROWTH:
            raise QueryError(
                f"takes {call.func.name}() already; give counters as they stand, e.g. sum by (pod) (x_total)"
            )
    if not list(_selectors(expression)):
        raise QueryError("yields a number of its own; give counters, e.g. sum by (pod) (x_total)")


def _parse(query: str) -> promql.Expr:
    try:
        expression = promql.parse(query)
    except ValueError as error:
        raise QueryError(f"does not parse as PromQL: {' '.join(str(error).split())}") from None
    for call in _nodes(expression):
        # `info()` reads `target_info` through a selector that stands nowhere in the text.
        if isinstance(call, promql.Call) and call.func.name == "info":
            raise QueryError(
                "uses info(), which reads other namespaces; join with the series you need instead"
            )
        if isinstance(call, promql.VectorSelector):
            _check_selector(call)
    return expression


def _check_selector(selector: promql.VectorSelector) -> None:
    if selector.matchers.or_matchers:
        raise QueryError('joins matchers with "or"; write two selectors with "or" between them')


def _check_result(expression: promql.Expr) -> None:
    while isinstance(expression, promql.ParenExpr):
        expression = expression.expr
    if isinstance(expression, promql.MatrixSelector | promql.SubqueryExpr):
        raise QueryError("yields a range, not a number; wrap it, e.g. in rate(…[2m])")
    if isinstance(expression, promql.StringLiteral):
        raise QueryError("yields a text, not a number")


def _nodes(expression: promql.Expr) -> Iterator[promql.Expr]:
    found: list[promql.Expr] = []

    def visit(node: promql.Expr) -> None:
        found.append(node)

    promql.walk(expression, visit)
    return iter(found)


def _selectors(expression: promql.Expr) -> Iterator[promql.VectorSelector]:
    return (node for node in _nodes(expression) if isinstance(node, promql.VectorSelector))


def _is_confined(selector: promql.VectorSelector, namespace: str) -> bool:
    matchers = [matcher for matcher in selector.matchers.matchers if matcher.name == "namespace"]
    for matcher in matchers:
        if matcher.op == promql.MatchOp.Equal and matcher.value != namespace:
            raise QueryError(
                f'asks for namespace "{matcher.value}"; only the object\'s own namespace can be read'
            )
    return any(matcher.op == promql.MatchOp.Equal for matcher in matchers)


def _tokens(query: str) -> Iterator[tuple[str, str]]:
    for found in _TOKEN.finditer(query):
        kind, text = found.lastgroup or "space", found[0]
        if kind == "mark" and text in _REFUSED:
            raise QueryError(f"holds {_REFUSED[text]}")
        yield kind, text


def _inserted(query: str, matcher: str) -> Iterator[str]:
    """The query's text in pieces, with the matcher put into each selector."""
    tokens = list(_tokens(query))
    braces = brackets = labels = 0  # inside {…}; inside […]; inside the label list of `by (…)` and the like
    awaiting_labels = False
    for index, (kind, text) in enumerate(tokens):
        yield text
        following = next((token for token in tokens[index + 1 :] if token[0] != "space"), ("end", ""))[1]
        if text == "{":
            braces += 1
            yield matcher if following == "}" else f"{matcher},"
        elif text == "}":
            braces -= 1
        elif text in "[]":
            brackets += 1 if text == "[" else -1
        elif text == "(" and (awaiting_labels or labels):
            labels += 1
        elif text == ")" and labels:
            labels -= 1
        elif kind == "name" and not (braces or brackets or labels) and _is_metric(text, following):
            yield f"{{{matcher}}}"
        if kind != "space":
            awaiting_labels = kind == "name" and text.lower() in _GROUPINGS


def _is_metric(name: str, following: str) -> bool:
    # A name before `(` is a function; before a word of grouping, an aggregation: `sum by (pod) (…)`.
    return name.lower() not in _WORDS and following not in {"(", "{", "by", "without"}
