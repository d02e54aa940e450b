{{- /* What the operator does with the objects of a namespace that it looks after, one rule per need. */}}
{{- define "modeldeploy.rules" -}}
# What the user asks for is read; only the status is written.
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch]
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments/status]
  verbs: [update]
# Owner references that block the owner's deletion ask for this where the admission plugin for them is on.
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments/finalizers]
  verbs: [update]
# One finalizer, on objects that set weights in a route of the user's own (traffic.routeRef).
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments]
  verbs: [patch]
# The pods of a revision, and what the revision was made from.
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Services of revisions and of routers, the routers' static configuration, and references of drift.
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
# The routers' account, which may do nothing; no other account can be changed.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, list, watch, create]
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames: [modeldeploy-router]
  verbs: [patch, delete]
# Why pods don't start, and where the ready ones are.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Routes of traffic providers other than the Router, where these are installed.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [referencegrants]
  verbs: [get, list]
- apiGroups: [traefik.io]
  resources: [traefikservices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.istio.io]
  resources: [virtualservices]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.retraining.jobs }}
# Jobs that retrain: made, and looked at when the name is taken. Finished ones end by themselves.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create]
{{- end }}
{{- with .Values.prometheus.secretNames }}
# What metrics stores of objects' own are shown. No other Secret, and no list of them.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- range .Values.retraining.objects }}
# Objects that retrain, of another controller's kind: made, and looked at when the name is taken.
- apiGroups: [{{ splitList "/" .apiVersion | first }}]
  resources: [{{ .resource }}]
  verbs: [get, create]
{{- end }}
{{- with .Values.retraining.secretNames }}
# What signs the calls of webhooks. No other Secret, and no list of them.
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- end }}
