"""What the API server checks beyond types and ranges, as CEL rules of the parts that they are named after.

Each message shows the wrong value and says how to mend it; `fieldPath` has the API server name the field.
"""

from modeldeploy.api.v1alpha1.base import Rule


def _not_zero(field: str) -> Rule:
    """A rule for a duration that must not be 0: some digit of it isn't."""
    return {
        "rule": f"!has(self.{field}) || self.{field}.matches('[1-9]')",
        "message": "must be longer than 0",
        "fieldPath": f".{field}",
        "messageExpression": f"self.{field} + ' is no time at all; write e.g. 10m'",
    }


REPLICAS: tuple[Rule, ...] = (
    {
        "rule": "!has(self.max) || (has(self.min) ? self.min : 1) <= self.max",
        "message": "max is below min; raise max or lower min",
        "fieldPath": ".max",
        "messageExpression": "'max ' + string(dyn(self.max)) + ' is below min ' + "
        "string(dyn(has(self.min) ? self.min : 1)) + '; raise max or lower min'",
    },
    {
        "rule": "!has(self.targetCPU) || (has(self.max) && (has(self.min) ? self.min : 1) < self.max)",
        "message": "needs an autoscaler; set max above min, or leave targetCPU out",
        "fieldPath": ".targetCPU",
        "messageExpression": "string(dyn(self.targetCPU)) + ' needs an autoscaler; set max above min, "
        "or leave targetCPU out'",
    },
)
"""`spec.server.replicas`."""

SERVER: tuple[Rule, ...] = (
    {
        "rule": "!has(self.runtime) || self.runtime != 'Custom' || has(self.port)",
        "message": "runtime Custom presets no port; add the port that your server listens on",
        "fieldPath": ".port",
        "reason": "FieldValueRequired",
    },
    _not_zero("startupTimeout"),
)
"""`spec.server`."""

TRAFFIC: tuple[Rule, ...] = (_not_zero("timeout"),)
"""`spec.traffic`."""

ROLLOUT: tuple[Rule, ...] = (
    {
        "rule": "!has(self.steps) || !has(self.strategy) || self.strategy == 'Canary'",
        "message": "only strategy Canary takes steps; remove them or set strategy: Canary",
        "fieldPath": ".steps",
        "messageExpression": "'strategy ' + self.strategy + ' takes no steps; remove them or set strategy: "
        "Canary'",
    },
    {
        "rule": "!has(self.steps) || (self.steps.map(s, s.weight).isSorted() && "
        "self.steps.all(s, self.steps.exists_one(t, t.weight == s.weight)))",
        "message": "weights must grow from step to step; sort them or remove the repeated one",
        "fieldPath": ".steps",
        "messageExpression": "'weights %s do not grow from step to step; "
        "sort them or remove the repeated one'.format([self.steps.map(s, s.weight)])",
    },
    {
        "rule": "!has(self.falseRollback) || !self.falseRollback.matches('^[0-9]+([.][0-9]+)?%$') || "
        "(double(self.falseRollback.replace('%', '')) >= 0.01 && "
        "double(self.falseRollback.replace('%', '')) <= 50.0)",
        "message": "must lie between 0.01% and 50%",
        "fieldPath": ".falseRollback",
        "messageExpression": "self.falseRollback + ' must lie between 0.01% and 50%'",
    },
    _not_zero("progressDeadline"),
)
"""`spec.rollout`."""

COMPARE: tuple[Rule, ...] = (
    {
        "rule": "!string(self.maxRatio).matches('^[0-9]+([.][0-9]+)?$') || "
        "double(string(self.maxRatio)) >= 1.0",
        "message": "must be at least 1",
        "fieldPath": ".maxRatio",
        "messageExpression": "string(self.maxRatio) + ' would blame a candidate that is as good as stable; "
        "write at least 1, e.g. \\'1.2\\''",
    },
)
"""`spec.monitoring.metrics[].compare`."""

METRIC: tuple[Rule, ...] = (
    {
        "rule": "has(self.preset) != has(self.query)",
        "message": "a metric is either a preset or a query; give one of them",
        "messageExpression": "'metric ' + self.name + (has(self.preset) ? ' has both preset and query; "
        "remove one' : ' has neither preset nor query; add one')",
    },
    {
        "rule": "has(self.max) || has(self.min) || has(self.compare)",
        "message": "a metric needs a bound; add max, min or compare",
        "messageExpression": "'metric ' + self.name + ' has no bound; add max, min or compare'",
    },
    {
        "rule": "!has(self.preset) || !self.preset.startsWith('latency') || !has(self.min)",
        "message": "a latency is bounded above only; use max",
        "fieldPath": ".min",
        "messageExpression": "'metric ' + self.name + ' is a latency and bounded above only; use max'",
    },
    {
        "rule": "!has(self.preset) || !self.preset.startsWith('latency') || !has(self.max) || "
        "string(self.max).matches('^[0-9.]+(ms|s|m)$')",
        "message": "a latency is bounded by a duration, e.g. max: 300ms",
        "fieldPath": ".max",
        "messageExpression": "string(self.max) + ' has no unit of time; write e.g. max: 300ms'",
    },
    *(
        {
            "rule": f"!has(self.preset) || !self.preset.endsWith('Ratio') || !has(self.{bound}) || "
            f"string(self.{bound}).matches('^[0-9.]+%$')",
            "message": f"a ratio is bounded by a percentage, e.g. {bound}: 1%",
            "fieldPath": f".{bound}",
            "messageExpression": f"string(self.{bound}) + ' is not a percentage; write e.g. {bound}: 1%'",
        }
        for bound in ("max", "min")
    ),
    *(
        {
            "rule": "!has(self.preset) || !(self.preset in ['inputSize', 'brightness']) || "
            f"!has(self.{bound}) || !string(self.{bound}).matches('[a-z%]$')",
            "message": f"a size is bounded by a plain number, e.g. {bound}: 100",
            "fieldPath": f".{bound}",
            "messageExpression": f"string(self.{bound}) + ' has a unit that ' + self.preset + ' does not; "
            f"write a plain number, e.g. {bound}: 100'",
        }
        for bound in ("max", "min")
    ),
    {
        "rule": "!has(self.compare) || (has(self.preset) && "
        "(self.preset.startsWith('latency') || self.preset.endsWith('Ratio')))",
        "message": "only latency and ratio presets can be compared; use max or min",
        "fieldPath": ".compare",
        "messageExpression": "'metric ' + self.name + ' has no counts to compare by; only latency and ratio "
        "presets have, use max or min'",
    },
    {
        "rule": "!has(self.compare) || self.category != 'Input'",
        "message": "inputs come from callers and never blame a candidate; use max or min",
        "fieldPath": ".compare",
        "messageExpression": "'metric ' + self.name + ' speaks of inputs, which come from callers and never "
        "blame a candidate; use max or min'",
    },
)
"""`spec.monitoring.metrics[]`."""

MONITORING: tuple[Rule, ...] = (
    {
        "rule": "!has(self.interval) || !self.interval.matches('^([0-9.]+(ms|s|m|h))+$') || "
        "(duration(self.interval) >= duration('1s') && duration(self.interval) <= duration('1h'))",
        "message": "must lie between 1s and 1h",
        "fieldPath": ".interval",
        "messageExpression": "self.interval + ' must lie between 1s and 1h'",
    },
    _not_zero("window"),
)
"""`spec.monitoring`."""
