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
# Services of revisions and of routers, and the routers' static configuration.
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
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}
