{{/* The labels that select a service's pods; they never change during a release's life. */}}
{{- define "service.selector" -}}
app.kubernetes.io/name: {{ .Release.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The labels of every object. */}}
{{- define "service.labels" -}}
{{ include "service.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
devenv.project: {{ .Values.project | quote }}
devenv.service: {{ .Release.Name | quote }}
{{- range $name, $value := .Values.labels }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* The name of the Secret. */}}
{{- define "service.secret" -}}
{{ .Release.Name }}-env
{{- end }}
