"""What the API server checks beyond types and ranges, as CEL rules of the parts that they are named after.

Each message shows the wrong value and says how to mend it; `fieldPath` has the API server name the field.
"""

from modeldeploy.api.v1alpha1.base import Rule

QUERY_PARAMETERS = (
    "dedup",
    "deny_partial_response",
    "latency_offset",
    "lookback_delta",
    "max_lookback",
    "max_source_resolution",
    "nocache",
    "partial_response",
)
"""What a metrics store may be asked besides the question: how, but not what, when or as whom."""

HEADERS = ("THANOS-TENANT", "X-Scope-OrgID")
"""Headers that may be sent to a metrics store: whose series are meant."""


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
    {
        "rule": "!has(self.extraPorts) || self.extraPorts.all(p, !(p.name in ['http', 'https', 'tls']) && "
        "!(p.port in [80, 443]) && (!has(self.port) || p.port != self.port) && "
        "self.extraPorts.exists_one(q, q.port == p.port))",
        "message": "http, 80, 443 and port are taken by the first port; give each further port a name and a "
        "number of its own",
        "fieldPath": ".extraPorts",
    },
)
"""`spec.server`."""

TRAFFIC: tuple[Rule, ...] = (
    _not_zero("timeout"),
    {
        "rule": "!has(self.provider) || self.provider != 'GatewayAPI' || "
        "has(self.gateway) != has(self.routeRef)",
        "message": "provider GatewayAPI needs either gateway (a route is made) or routeRef (yours is used)",
        "fieldPath": ".gateway",
    },
    {
        "rule": "!has(self.provider) || self.provider != 'IstioVirtualService' || has(self.gateway)",
        "message": "provider IstioVirtualService needs gateway.parentRefs and gateway.hostnames",
        "fieldPath": ".gateway",
        "reason": "FieldValueRequired",
    },
    {
        "rule": "!has(self.gateway) || (has(self.provider) && "
        "self.provider in ['GatewayAPI', 'IstioVirtualService'])",
        "message": "only providers GatewayAPI and IstioVirtualService have a gateway; "
        "remove it or set provider",
        "fieldPath": ".gateway",
    },
    {
        "rule": "!has(self.routeRef) || (has(self.provider) && self.provider == 'GatewayAPI')",
        "message": "only provider GatewayAPI takes a route of yours; remove routeRef or set "
        "provider: GatewayAPI",
        "fieldPath": ".routeRef",
    },
    {
        "rule": "!has(self.tls) || !has(self.provider) || self.provider == 'Router'",
        "message": "only provider Router ends TLS itself; remove tls, and set it up at your gateway",
        "fieldPath": ".tls",
    },
    {
        "rule": "!has(self.timeout) || !has(self.provider) || "
        "self.provider in ['Router', 'GatewayAPI', 'IstioVirtualService']",
        "message": "this provider cannot bound the time of an answer; remove timeout",
        "fieldPath": ".timeout",
        "messageExpression": "'provider ' + self.provider + ' cannot bound the time of an answer; "
        "remove timeout'",
    },
    {
        "rule": "!has(self.sticky) || !self.sticky || !has(self.provider) || self.provider != 'Service'",
        "message": "provider Service knows no clients, only all or nothing; remove sticky",
        "fieldPath": ".sticky",
    },
)
"""`spec.traffic`."""

STEP: tuple[Rule, ...] = (
    {
        "rule": "has(self.weight) || has(self.shadow) || has(self.preview) || has(self.approval)",
        "message": "a step does something; add weight, shadow, preview or approval",
    },
    {
        "rule": "!has(self.weight) || !has(self.shadow)",
        "message": "copies and answers in one step would count a request twice; make two steps of it",
        "fieldPath": ".shadow",
    },
)
"""`spec.rollout.steps[]`."""

ROLLOUT: tuple[Rule, ...] = (
    {
        "rule": "!has(self.steps) || !has(self.strategy) || self.strategy != 'Immediate'",
        "message": "strategy Immediate takes no steps; remove them or set strategy: Canary",
        "fieldPath": ".steps",
    },
    {
        "rule": "!has(self.steps) || (self.steps.filter(s, has(s.weight)).map(s, s.weight).isSorted() && "
        "self.steps.filter(s, has(s.weight)).all(s, "
        "self.steps.exists_one(t, has(t.weight) && t.weight == s.weight)))",
        "message": "weights must grow from step to step; sort them or remove the repeated one",
        "fieldPath": ".steps",
        "messageExpression": "'weights %s do not grow from step to step; sort them or remove the repeated "
        "one'.format([self.steps.filter(s, has(s.weight)).map(s, s.weight)])",
    },
    {
        "rule": "!has(self.steps) || !self.steps.exists(s, has(s.weight)) || "
        "self.steps.map(s, has(s.shadow) ? 1 : 0).lastIndexOf(1) < "
        "self.steps.map(s, has(s.weight) ? 1 : 0).indexOf(1)",
        "message": "a shadow step comes before the first weight: whoever answers users is no shadow; "
        "move it up",
        "fieldPath": ".steps",
    },
    {
        "rule": "!has(self.switch) || (has(self.strategy) && self.strategy == 'BlueGreen')",
        "message": "only strategy BlueGreen has a switch; remove it or set strategy: BlueGreen",
        "fieldPath": ".switch",
    },
    {
        "rule": "!has(self.switch) || !has(self.steps)",
        "message": "steps say already how traffic moves; remove switch or steps",
        "fieldPath": ".switch",
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
    {
        "rule": "!has(self.surge) || self.surge != 'None' || !has(self.scaling) || "
        "self.scaling == 'Proportional'",
        "message": "surge: None has no room for scaling: Full; remove one of them",
        "fieldPath": ".scaling",
    },
    {
        "rule": "!has(self.surge) || self.surge != 'None' || !has(self.onSupersede) || "
        "self.onSupersede == 'StableFirst'",
        "message": "surge: None has no room for a third version beside two; remove onSupersede or surge",
        "fieldPath": ".onSupersede",
    },
    {
        "rule": "!has(self.surge) || self.surge != 'None' || !has(self.keepPrevious) || "
        "!self.keepPrevious.matches('[1-9]')",
        "message": "surge: None has no room to keep the replaced revision running; remove keepPrevious or "
        "surge",
        "fieldPath": ".keepPrevious",
    },
)
"""`spec.rollout`."""

COMPARE: tuple[Rule, ...] = (
    {
        "rule": "has(self.maxRatio) || has(self.minRatio)",
        "message": "compares nothing; add maxRatio or minRatio",
    },
    {
        "rule": "!has(self.minRatio) || !self.minRatio.matches('^[0-9]+([.][0-9]+)?$') || "
        "(double(self.minRatio) > 0.0 && double(self.minRatio) <= 1.0)",
        "message": "must be above 0 and at most 1",
        "fieldPath": ".minRatio",
        "messageExpression": "self.minRatio + ' would blame a candidate that is as good as stable; write at "
        "most 1, e.g. \\'0.9\\''",
    },
    {
        "rule": "!has(self.maxRatio) || !string(self.maxRatio).matches('^[0-9]+([.][0-9]+)?$') || "
        "double(string(self.maxRatio)) >= 1.0",
        "message": "must be at least 1",
        "fieldPath": ".maxRatio",
        "messageExpression": "string(self.maxRatio) + ' would blame a candidate that is as good as stable; "
        "write at least 1, e.g. \\'1.2\\''",
    },
)
"""`spec.monitoring.metrics[].compare`."""

REFERENCE: tuple[Rule, ...] = (
    {
        "rule": "(self.source == 'Training') == has(self.configMap)",
        "message": "source Training reads a ConfigMap, and no other source does",
        "fieldPath": ".configMap",
        "messageExpression": "self.source == 'Training' ? 'source Training reads a file; name its ConfigMap, "
        "e.g. configMap: {name: my-training}' : 'source ' + self.source + ' reads no file; remove configMap'",
    },
)
"""`spec.monitoring.metrics[].drift.reference`."""

# No number stands in a message: the API server takes its text for endless, and the rule for too dear.
DRIFT: tuple[Rule, ...] = (
    {
        "rule": "self.fail > 0.0",
        "message": "0 would make any difference a breach; write e.g. fail: 0.25",
        "fieldPath": ".fail",
    },
    {
        "rule": "!has(self.warn) || self.warn < self.fail",
        "message": "is not below fail; lower warn or raise fail",
        "fieldPath": ".warn",
    },
    {
        "rule": "!has(self.statistic) || !(self.statistic in ['JensenShannon', 'KolmogorovSmirnov']) || "
        "self.fail <= 1.0",
        "message": "JensenShannon and KolmogorovSmirnov are 1 at most; write e.g. fail: 0.2",
        "fieldPath": ".fail",
    },
)
"""`spec.monitoring.metrics[].drift`."""

METRIC: tuple[Rule, ...] = (
    {
        "rule": "[has(self.preset), has(self.query), has(self.ratio)].exists_one(given, given)",
        "message": "a metric is a preset, a query or a ratio; give one of them",
        "messageExpression": "'metric ' + self.name + (has(self.preset) || has(self.query) ? ' has more than "
        "one of preset, query and ratio; keep one' : ' has neither preset nor query nor ratio; add one')",
    },
    {
        "rule": "has(self.max) || has(self.min) || has(self.compare) || has(self.drift)",
        "message": "a metric needs a bound; add max, min, compare or drift",
        "messageExpression": "'metric ' + self.name + ' has no bound; add max, min, compare or drift'",
    },
    {
        "rule": "!has(self.drift) || !(has(self.max) || has(self.min) || has(self.compare))",
        "message": "drift is judged by itself; make a metric of its own for max, min and compare",
        "fieldPath": ".drift",
        "messageExpression": "'metric ' + self.name + ' has other bounds, too; make a metric of its own for "
        "drift'",
    },
    {
        "rule": "!has(self.drift) || (has(self.preset) && self.preset in ['inputSize', 'inputVolume', "
        "'brightness', 'confidence', 'latencyP50', 'latencyP95', 'latencyP99'])",
        "message": "drift needs a histogram; only inputSize, inputVolume, brightness, confidence and "
        "latencyP50, P95 and P99 have one",
        "fieldPath": ".drift",
        "messageExpression": "'metric ' + self.name + ' has no histogram to see drift in; only inputSize, "
        "inputVolume, brightness, confidence and latencyP50, P95 and P99 have one'",
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
            "rule": f"!has(self.preset) || !(self.preset.endsWith('Ratio') || self.preset in "
            f"['accuracy', 'confidence', 'gpu']) || !has(self.{bound}) || "
            f"string(self.{bound}).matches('^[0-9.]+%$')",
            "message": f"a ratio is bounded by a percentage, e.g. {bound}: 1%",
            "fieldPath": f".{bound}",
            "messageExpression": f"string(self.{bound}) + ' is not a percentage; write e.g. {bound}: 1%'",
        }
        for bound in ("max", "min")
    ),
    *(
        {
            "rule": "!has(self.preset) || !(self.preset in ['inputSize', 'inputVolume', 'brightness', "
            "'throughput', 'inFlight', 'cpu', 'restarts']) || "
            f"!has(self.{bound}) || !string(self.{bound}).matches('[a-zA-Z%]$')",
            "message": f"a count is bounded by a plain number, e.g. {bound}: 100",
            "fieldPath": f".{bound}",
            "messageExpression": f"string(self.{bound}) + ' has a unit that ' + self.preset + ' does not; "
            f"write a plain number, e.g. {bound}: 100'",
        }
        for bound in ("max", "min")
    ),
    *(
        {
            "rule": f"(has(self.preset) && self.preset == '{preset}') == has(self.{field})",
            "message": f"preset {preset} needs {field}, e.g. {field}: {example}; no other has it",
            "fieldPath": f".{field}",
        }
        for field, preset, example in (
            ("event", "feedbackRatio", "redo"),
            ("below", "lowConfidenceRatio", "50%"),
            ("outputClass", "classRatio", "cat"),
        )
    ),
    {
        "rule": "!has(self.preset) || self.preset != 'memory' || !has(self.max) || "
        "string(self.max).matches('^[0-9.]+[KMG]i$')",
        "message": "memory is bounded by a size, e.g. max: 2Gi",
        "fieldPath": ".max",
        "messageExpression": "string(self.max) + ' is no size; write e.g. max: 2Gi'",
    },
    {
        "rule": "!has(self.compare) || !has(self.preset) || self.preset != 'restarts'",
        "message": "restarts are counted, not compared; use max",
        "fieldPath": ".compare",
    },
    {
        "rule": "!has(self.compare) || !has(self.compare.minRatio) || !has(self.preset) || "
        "!self.preset.startsWith('latency')",
        "message": "a latency may fall as far as it can; use maxRatio",
        "fieldPath": ".compare.minRatio",
    },
    {
        "rule": "!has(self.compare) || self.category != 'Input'",
        "message": "inputs come from callers and never blame a candidate; use max or min",
        "fieldPath": ".compare",
        "messageExpression": "'metric ' + self.name + ' speaks of inputs, which come from callers and never "
        "blame a candidate; use max or min'",
    },
    {
        "rule": "!has(self.detect) || !has(self.evidence) || self.evidence != 'NonInferior'",
        "message": "evidence: NonInferior excludes the bound itself; remove detect",
        "fieldPath": ".detect",
    },
    {
        "rule": "!has(self.detect) || !string(self.detect).matches('^[0-9]+([.][0-9]+)?$') || "
        "(double(string(self.detect)) > 1.0 && double(string(self.detect)) <= 100.0)",
        "message": "must lie above 1 and at most at 100",
        "fieldPath": ".detect",
        "messageExpression": "string(self.detect) + ' times the bound can not be excluded; write more than 1 "
        "and at most 100, e.g. \\'1.5\\''",
    },
)
"""`spec.monitoring.metrics[]`."""

PROMETHEUS: tuple[Rule, ...] = (
    {
        "rule": "!has(self.queryParameters) || self.queryParameters.all(name, "
        f"name in {[*QUERY_PARAMETERS]})",
        "message": f"choose among {', '.join(QUERY_PARAMETERS)}",
        "fieldPath": ".queryParameters",
    },
    {
        "rule": f"!has(self.headers) || self.headers.all(name, name in {[*HEADERS]})",
        "message": f"choose among {', '.join(HEADERS)}; credentials belong into the Secret of secretName",
        "fieldPath": ".headers",
    },
)
"""`spec.monitoring.prometheus`."""

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

ON_BREACH: tuple[Rule, ...] = (
    {
        "rule": "!has(self.stepDowns) || (has(self.duringRollout) && self.duringRollout == 'StepDown')",
        "message": "only duringRollout: StepDown goes back; remove stepDowns or set it",
        "fieldPath": ".stepDowns",
    },
)
"""`spec.onBreach`."""

ADAPT: tuple[Rule, ...] = (
    {
        "rule": "!has(self.mode) || self.mode != 'Automatic' || has(self.maxReplicas)",
        "message": "mode Automatic raises up to a limit; add maxReplicas, or set mode: Suggest",
        "fieldPath": ".maxReplicas",
        "reason": "FieldValueRequired",
    },
    _not_zero("cooldown"),
)
"""`spec.adapt`."""

TRIGGER: tuple[Rule, ...] = (
    {
        "rule": "[has(self.job), has(self.webhook), has(self.object)].exists_one(given, given)",
        "message": "a trigger is one of job, webhook and object; give exactly one",
        "messageExpression": "has(self.job) || has(self.webhook) || has(self.object) ? "
        "'has more than one of job, webhook and object; keep one' : "
        "'has none of job, webhook and object; add one'",
    },
)
"""`spec.retraining.trigger`."""

RETRAINING: tuple[Rule, ...] = (
    {
        "rule": "!has(self.mode) || self.mode != 'Automatic' || has(self.trigger)",
        "message": "mode Automatic runs a trigger; add trigger.job, trigger.webhook or trigger.object, or "
        "set mode: Manual",
        "fieldPath": ".trigger",
        "reason": "FieldValueRequired",
    },
    _not_zero("cooldown"),
)
"""`spec.retraining`."""

SPEC: tuple[Rule, ...] = (
    {
        "rule": "!has(self.retraining) || !has(self.onBreach) || !has(self.onBreach.afterRollout) || "
        "self.onBreach.afterRollout != 'Notify'",
        "message": "onBreach.afterRollout: Notify recommends no retraining; remove retraining or set "
        "onBreach.afterRollout: FlagRetraining",
        "fieldPath": ".retraining",
    },
    {
        "rule": "!has(self.onBreach) || !has(self.onBreach.afterRollout) || "
        "self.onBreach.afterRollout != 'Rollback' || !has(self.rollout) || "
        "((!has(self.rollout.keepPrevious) || self.rollout.keepPrevious.matches('[1-9]')) && "
        "(!has(self.rollout.surge) || self.rollout.surge != 'None'))",
        "message": "afterRollout: Rollback goes back to what is kept running; give rollout.keepPrevious some "
        "time and remove surge: None, or take FlagRetraining",
        "fieldPath": ".onBreach.afterRollout",
    },
    {
        "rule": "!has(self.adapt) || !has(self.adapt.maxReplicas) || !has(self.server.replicas) || "
        "(self.adapt.maxReplicas >= (has(self.server.replicas.max) ? self.server.replicas.max : 1) && "
        "self.adapt.maxReplicas >= (has(self.server.replicas.min) ? self.server.replicas.min : 1))",
        "message": "is below what server.replicas asks for anyway; raise it",
        "fieldPath": ".adapt.maxReplicas",
    },
    {
        "rule": "!has(self.traffic) || !has(self.traffic.provider) || self.traffic.provider != 'Service' || "
        "(has(self.rollout) && has(self.rollout.strategy) && "
        "self.rollout.strategy in ['BlueGreen', 'Immediate'] && "
        "(!has(self.rollout.switch) || self.rollout.switch == 'Instant'))",
        "message": "provider Service knows only all or nothing; set rollout.strategy: BlueGreen with "
        "switch: Instant, or Immediate, or take provider: Router",
        "fieldPath": ".traffic.provider",
    },
    {
        "rule": "!has(self.traffic) || !has(self.traffic.provider) || self.traffic.provider != 'Service' || "
        "!has(self.rollout) || !has(self.rollout.steps) || "
        "!self.rollout.steps.exists(s, has(s.weight) || has(s.shadow))",
        "message": "provider Service can neither share nor copy requests; keep to steps of preview and "
        "approval, or take provider: Router",
        "fieldPath": ".rollout.steps",
    },
    {
        "rule": "!has(self.server.extraPorts) || !has(self.traffic) || !has(self.traffic.provider) || "
        "self.traffic.provider in ['Router', 'Service']",
        "message": "this provider routes one port; take provider: Router, or remove extraPorts",
        "fieldPath": ".server.extraPorts",
    },
    {
        "rule": "!has(self.adopt) || !has(self.traffic) || !has(self.traffic.incumbent)",
        "message": "adopt names what answers today already; remove traffic.incumbent",
        "fieldPath": ".traffic.incumbent",
    },
    {
        "rule": "!has(self.rollout) || !has(self.rollout.baseline) || "
        "!(has(self.adopt) || (has(self.traffic) && has(self.traffic.incumbent)))",
        "message": "what answers today is stable first, so that no baseline is served; remove baseline",
        "fieldPath": ".rollout.baseline",
    },
    {
        "rule": "!has(self.adopt) || !has(self.traffic) || !has(self.traffic.provider) || "
        "self.traffic.provider == 'Router'",
        "message": "only provider Router takes plain manifests over without downtime; remove adopt or "
        "provider",
        "fieldPath": ".adopt",
    },
    {
        "rule": "!has(self.traffic) || !has(self.traffic.incumbent) || !has(self.traffic.provider) || "
        "self.traffic.provider in ['Router', 'GatewayAPI', 'Traefik']",
        "message": "this provider cannot lead to an incumbent; take provider: Router, or remove incumbent",
        "fieldPath": ".traffic.incumbent",
    },
)
"""`spec` as a whole."""
