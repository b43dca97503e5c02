{{- define "framerelay.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "framerelay.labels" -}}
app.kubernetes.io/name: framerelay
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "framerelay.selector" -}}
app.kubernetes.io/name: framerelay
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "framerelay.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "framerelay.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "framerelay.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* What receivers and workers have in common. A key file that the secret does not have would prevent the start, so keys
     that may be missing are passed as variables. */}}
{{- define "framerelay.environment" -}}
- name: FRAMERELAY_PUBLIC_URL
  value: {{ required "publicUrl: how providers reach the receivers, https://…" .Values.publicUrl | quote }}
{{- if .Values.redis.url }}
- name: FRAMERELAY_REDIS_URL
  value: {{ .Values.redis.url | quote }}
{{- else }}
- name: FRAMERELAY_REDIS_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.existingSecret }}, key: redis_url}}
{{- end }}
- name: FRAMERELAY_LOG_FORMAT
  value: json
{{- range $name, $value := .Values.settings }}
{{- if ne (toString $value) "" }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- $secret := required "existingSecret: a secret with api_key, secret and upstream_key" .Values.existingSecret }}
- name: FRAMERELAY_API_KEY_FILE
  value: /run/secrets/framerelay/api_key
- name: FRAMERELAY_SECRET_FILE
  value: /run/secrets/framerelay/secret
{{- range $name, $key := dict "FRAMERELAY_UPSTREAM_KEY" "upstream_key" "FRAMERELAY_READ_KEY" "read_key" "FRAMERELAY_NOTIFY_SECRET" "notify_secret" }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}, optional: true}}
{{- end }}
{{- range $name, $value := .Values.environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $key := .Values.providerKeys }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $key }}}}
{{- end }}
{{- end -}}

{{- define "framerelay.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
- {name: secret, mountPath: /run/secrets/framerelay, readOnly: true}
{{- if .Values.framerelayYaml }}
- {name: config, mountPath: /etc/framerelay, readOnly: true}
{{- end }}
{{- end -}}

{{- define "framerelay.volumes" -}}
- name: data
  {{- if .Values.data.shared }}
  persistentVolumeClaim: {claimName: {{ .Values.data.existingClaim | default (printf "%s-data" (include "framerelay.name" .)) }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.data.scratchSize }}}
  {{- end }}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
- name: secret
  secret:
    secretName: {{ .Values.existingSecret }}
    items: [{key: api_key, path: api_key}, {key: secret, path: secret}]
{{- if .Values.framerelayYaml }}
- name: config
  configMap: {name: {{ include "framerelay.name" . }}}
{{- end }}
{{- end -}}
