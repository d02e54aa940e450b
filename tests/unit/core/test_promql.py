"""Users' PromQL, confined."""

import contextlib

import promql_parser as promql
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.core.promql import QueryError, confine, substitute

pytestmark = pytest.mark.unit

NS = 'namespace="shop"'


@pytest.mark.parametrize(
    ("query", "confined"),
    [
        ("up", "up{NS}"),
        ("up{}", "up{NS}"),
        ('up{job="a"}', 'up{NS,job="a"}'),
        ('{__name__=~"a.*"}', '{NS,__name__=~"a.*"}'),
        ("rate(a[5m])", "rate(a{NS}[5m])"),
        ('rate(a{b="c"}[5m] offset 1m)', 'rate(a{NS,b="c"}[5m] offset 1m)'),
        ("sum by (pod) (a) / on (pod) b", "sum by (pod) (a{NS}) / on (pod) b{NS}"),
        ("sum(a) by (pod)", "sum(a{NS}) by (pod)"),
        ("a * on (pod) group_left (node) b", "a{NS} * on (pod) group_left (node) b{NS}"),
        ("max_over_time(rate(a[5m])[1h:])", "max_over_time(rate(a{NS}[5m])[1h:])"),
        ("a or b unless c", "a{NS} or b{NS} unless c{NS}"),
        ("a > bool 3", "a{NS} > bool 3"),
        ("quantile(0.9, sum(rate(a[2m])) by (le))", "quantile(0.9, sum(rate(a{NS}[2m])) by (le))"),
        ('label_replace(a, "x", "$1", "y", "(.*)")', 'label_replace(a{NS}, "x", "$1", "y", "(.*)")'),
        ('a{b="c}d"}', 'a{NS,b="c}d"}'),
        (r'a{b="say \"up\""}', r'a{NS,b="say \"up\""}'),
        ("a{b='\"'}", "a{NS,b='\"'}"),
        ("job:errors:rate5m", "job:errors:rate5m{NS}"),
        ("a @ start()", "a{NS} @ start()"),
        ("1+a*2e+3", "1+a{NS}*2e+3"),
        ("max_over_time(a[1h:5m] offset 5m)+b", "max_over_time(a{NS}[1h:5m] offset 5m)+b{NS}"),
        ("rate(a[1h30m])>0x1F", "rate(a{NS}[1h30m])>0x1F"),
        ("avg_over_time(a[5m:] @ 100 offset -1m)", "avg_over_time(a{NS}[5m:] @ 100 offset -1m)"),
        ("vector(1)", "vector(1)"),
        ("1.5e3", "1.5e3"),
        ('count_values("v", a)', 'count_values("v", a{NS})'),
        ("topk(1, a)", "topk(1, a{NS})"),
        ("-a", "-a{NS}"),
        ("a ^ Inf", "a{NS} ^ Inf"),
    ],
)
def test_every_selector_gets_the_matcher(query: str, confined: str) -> None:
    assert confine(query, "shop") == confined.replace("NS", NS)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("sum(", "does not parse as PromQL"),
        ("", "does not parse as PromQL"),
        ("a[5m]", "yields a range, not a number; wrap it, e.g. in rate(…[2m])"),
        ("(a[5m:1m])", "yields a range"),
        ('"text"', "yields a text"),
        ('a{namespace="bank"}', 'asks for namespace "bank"; only the object\'s own'),
        ('a{b="1" or c="2"}', 'joins matchers with "or"'),
        ("info(a)", "uses info()"),
        ("a # or b", "holds a comment"),
        ("a{b=`c`}", "holds a backquoted string"),
    ],
)
def test_what_cannot_be_confined_is_refused_in_one_sentence(query: str, reason: str) -> None:
    with pytest.raises(QueryError, match=r".") as refused:
        confine(query, "shop")
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "matcher", ['namespace=~".*"', 'namespace!="shop"', 'namespace=~"bank|shop"', 'namespace="shop"']
)
def test_a_matcher_of_the_users_own_widens_nothing(matcher: str) -> None:
    # Matchers are joined by "and", so the injected one always holds.
    assert confine(f"a{{{matcher}}}", "shop") == f"a{{{NS},{matcher}}}"


_NAMES = st.sampled_from(["a", "up", "rate5m", "sum_total", "by_pod", "http:requests"])
_VALUES = st.text(
    st.characters(exclude_characters="\n", max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]), max_size=8
)


@st.composite
def _selectors(draw: st.DrawFn) -> str:
    name, value = draw(_NAMES), draw(_VALUES).replace("\\", "\\\\").replace('"', '\\"')
    return draw(
        st.sampled_from(
            [name, f"{name}{{}}", f'{name}{{x="{value}"}}', f'{{__name__="{name}",y!="{value}"}}']
        )
    )


@st.composite
def _expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0:
        return draw(_selectors())
    left, right = draw(_expressions(depth - 1)), draw(_selectors())
    return draw(
        st.sampled_from(
            [
                left,
                f"sum by (pod, namespace) ({left})",
                f"({left}) / on (pod) {right}",
                f"rate({right}[5m])",
                f"max({left}) without (pod)",
                f"{left} or {right} offset 5m",
                f"clamp({left}, 0, 1)",
                f"max_over_time({right}[10m:1m])",
            ]
        )
    )


@given(_expressions())
def test_whatever_is_asked_reads_one_namespace(query: str) -> None:
    seen: list[promql.Expr] = []
    promql.walk(promql.parse(confine(query, "shop")), seen.append)
    selectors = [node for node in seen if isinstance(node, promql.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert any(m.name == "namespace" and m.value == "shop" for m in selector.matchers.matchers)


@given(st.text(max_size=40))
def test_any_text_is_confined_or_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        promql.parse(confine(text, "shop"))


def test_placeholders_are_replaced_and_other_dollars_stay() -> None:
    query = 'label_replace(a{r="$revision",n="$name",s="$namespace"}, "x", "$1", "y", "$names")'
    replaced = substitute(query, namespace="shop", name="digits", revision="5d4c")
    assert replaced == 'label_replace(a{r="5d4c",n="digits",s="shop"}, "x", "$1", "y", "$names")'
