{{/* The name of the Deployment: that of the release, which names the chart too unless it does already. */}}
{{- define "vm-operator.name" -}}
{{- $name := ternary .Release.Name (printf "%s-vm-operator" .Release.Name) (contains "vm-operator" .Release.Name) -}}
{{- $name | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "vm-operator.account" -}}
{{- .Values.serviceAccount.name | default (include "vm-operator.name" .) -}}
{{- end -}}

{{- define "vm-operator.slotNamespace" -}}
{{- .Values.slotNamespace | default .Release.Namespace -}}
{{- end -}}

{{/* By which the Pods are found. They never change. */}}
{{- define "vm-operator.selector" -}}
app.kubernetes.io/name: zenlayer-vm-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vm-operator.labels" -}}
{{ include "vm-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "vm-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "vm-operator.account" . }}
    namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* What the operator does with objects and Secrets: the same for all namespaces and for one. */}}
{{- define "vm-operator.rules" -}}
rules:
  - apiGroups: [vm.zenlayer.com]
    resources: [vminstances]
    verbs: [get, list, watch]
  # The finalizer of an object whose machine was stopped for a change.
  - apiGroups: [vm.zenlayer.com]
    resources: [vminstances]
    verbs: [patch]
  - apiGroups: [vm.zenlayer.com]
    resources: [vminstances/status]
    verbs: [update]
  # By the name that an object gives, in its own namespace; never listed, never watched.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get]
  - apiGroups: [events.k8s.io]
    resources: [events]
    verbs: [create]
{{- end -}}
