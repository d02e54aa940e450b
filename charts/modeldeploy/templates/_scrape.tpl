{{- /* How Prometheus finds routers and models. The labels it puts on are those that the operator asks by. */}}
{{- define "modeldeploy.scrapeConfigs" -}}
- job_name: modeldeploy-routers
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
  metrics_path: /stats/prometheus
  kubernetes_sd_configs:
    - role: pod
      {{- with include "modeldeploy.scrapeNamespaces" . }}
      {{- . | nindent 6 }}
      {{- end }}
      selectors:
        - {role: pod, label: app.kubernetes.io/name=modeldeploy-router}
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_container_port_number], regex: "9902", action: keep}
    - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
- job_name: modeldeploy-models
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
  kubernetes_sd_configs:
    - role: pod
      {{- with include "modeldeploy.scrapeNamespaces" . }}
      {{- . | nindent 6 }}
      {{- end }}
      selectors:
        - {role: pod, label: "app.kubernetes.io/managed-by=modeldeploy,modeldeploy.dev/revision"}
  relabel_configs:
    - {source_labels: [__meta_kubernetes_pod_container_port_name], regex: http, action: keep}
    - {source_labels: [__meta_kubernetes_pod_phase], regex: Running, action: keep}
    - source_labels: [__meta_kubernetes_pod_annotation_modeldeploy_dev_metrics_path]
      regex: (.+)
      target_label: __metrics_path__
    - source_labels: [__address__, __meta_kubernetes_pod_annotation_modeldeploy_dev_metrics_port]
      regex: (.+):\d+;(\d+)
      replacement: $1:$2
      target_label: __address__
    - {source_labels: [__meta_kubernetes_namespace], target_label: namespace}
    - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}
    - source_labels: [__meta_kubernetes_pod_label_modeldeploy_dev_name]
      target_label: modeldeploy_name
    - source_labels: [__meta_kubernetes_pod_label_modeldeploy_dev_revision]
      target_label: modeldeploy_revision
    - source_labels: [__meta_kubernetes_pod_label_modeldeploy_dev_model_version]
      target_label: modeldeploy_model_version
{{- end }}

{{- define "modeldeploy.scrapeNamespaces" -}}
{{- with .Values.watchNamespaces -}}
namespaces:
  names: {{ toJson . }}
{{- end }}
{{- end }}

{{- /* The chart's own Prometheus asks the operator for its targets: no rights in the cluster are needed. */}}
{{- define "modeldeploy.prometheusConfig" -}}
scrape_configs:
  - job_name: modeldeploy
    scrape_interval: {{ .Values.prometheus.scrapeInterval }}
    http_sd_configs:
      - url: http://{{ include "modeldeploy.fullname" . }}-metrics.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:8082/targets
        refresh_interval: {{ .Values.prometheus.scrapeInterval }}
{{- end }}
