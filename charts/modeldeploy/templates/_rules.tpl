{{- /* What the operator does with the objects of a namespace that it looks after, one rule per need. */}}
{{- define "modeldeploy.rules" -}}
# What the user asks for; the operator writes its status only, and its metadata to adopt or hand back.
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments]
  verbs: [get, list, watch, patch]
- apiGroups: [modeldeploy.dev]
  resources: [modeldeployments/status]
  verbs: [get, update, patch]
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
# The routers' account, which may do nothing; no other account is within reach.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [create]
- apiGroups: [""]
  resources: [serviceaccounts]
  resourceNames: [modeldeploy-router]
  verbs: [get, patch, delete]
# Why pods don't start, and where they are.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
# Is the namespace being deleted?
- apiGroups: [""]
  resources: [namespaces]
  verbs: [get]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
