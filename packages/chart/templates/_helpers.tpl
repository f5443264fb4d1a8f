{{- define "graph-relay.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "graph-relay.selector" -}}
app.kubernetes.io/name: graph-relay
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "graph-relay.labels" -}}
{{ include "graph-relay.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
