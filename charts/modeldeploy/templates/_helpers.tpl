{{- define "modeldeploy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- /* Short enough for every suffix used below: "-prometheus" is the longest. */}}
{{- define "modeldeploy.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "modeldeploy.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Cluster-scoped objects carry the namespace, so that two releases of one name don't meet. */}}
{{- define "modeldeploy.clusterName" -}}
{{- printf "%s-%s" (include "modeldeploy.fullname" .) .Release.Namespace }}
{{- end }}

{{- define "modeldeploy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: modeldeploy
{{ include "modeldeploy.instance" . }}
{{- end }}

{{- define "modeldeploy.instance" -}}
app.kubernetes.io/name: {{ include "modeldeploy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "modeldeploy.selector" -}}
{{ include "modeldeploy.instance" . }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "modeldeploy.prometheusSelector" -}}
{{ include "modeldeploy.instance" . }}
app.kubernetes.io/component: prometheus
{{- end }}

{{- define "modeldeploy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "modeldeploy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the account to use, or set serviceAccount.create to true" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "modeldeploy.leaseName" -}}
{{- default (printf "%s-lease" (include "modeldeploy.fullname" .)) .Values.lease.name }}
{{- end }}

{{- /* An image's reference. Takes a dict of `image` and `tag`, the tag for an image that names none. */}}
{{- define "modeldeploy.image" -}}
{{- with .image }}
{{- if .reference }}
{{- .reference }}
{{- else }}
{{- .repository }}{{ with default $.tag .tag }}:{{ . }}{{ end }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "modeldeploy.prometheusURL" -}}
{{- if .Values.prometheus.url }}
{{- .Values.prometheus.url }}
{{- else if .Values.prometheus.enabled }}
{{- printf "http://%s-prometheus.%s.svc.%s:9090" (include "modeldeploy.fullname" .) .Release.Namespace .Values.clusterDomain }}
{{- end }}
{{- end }}

{{- /* A map as one setting: `a=1,b=2`. */}}
{{- define "modeldeploy.pairs" -}}
{{- $pairs := list }}
{{- range $name, $value := . }}
{{- $pairs = append $pairs (printf "%s=%s" $name $value) }}
{{- end }}
{{- join "," $pairs }}
{{- end }}

{{- define "modeldeploy.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "modeldeploy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Where pods are placed. Takes the values of the pod. */}}
{{- define "modeldeploy.placement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
