{{- define "slicewatch.labels" -}}
app.kubernetes.io/name: slicewatch
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "slicewatch.monitoringLabels" -}}
app.kubernetes.io/name: slicewatch
{{- with .Values.prometheusOperator.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}
