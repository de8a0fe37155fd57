{{- define "causeway.name" -}}
{{- if contains "causeway" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-causeway" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "causeway.labels" -}}
app.kubernetes.io/name: causeway
app.kubernetes.io/instance: {{ include "causeway.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* The labels that select the pods of one part: (list . "gateway") */}}
{{- define "causeway.selector" -}}
app.kubernetes.io/name: causeway
app.kubernetes.io/instance: {{ include "causeway.name" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "causeway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* The common head of a daemon's configuration: (list . statusPort) */}}
{{- define "causeway.config" -}}
{{- $ := index . 0 -}}
store: "kube:"
namespace: {{ $.Release.Namespace }}
log: {level: {{ $.Values.log.level }}, json: {{ $.Values.log.json }}}
status: "[${POD_IP}]:{{ index . 1 }}"
{{- end }}

{{/* Probes over the daemon's own endpoint: (list port host) */}}
{{- define "causeway.probes" -}}
{{- $get := printf "port: %v" (int (index . 0)) -}}
startupProbe:
  httpGet: {path: /healthz, {{ $get }}}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, {{ $get }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, {{ $get }}}
  periodSeconds: 2
  timeoutSeconds: 2
{{- end }}

{{- define "causeway.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The rights of a process that writes routes, devices and sysctls in the node's namespace: one capability, no
privilege, a read-only root. */}}
{{- define "causeway.nodeSecurity" -}}
securityContext:
  runAsUser: 0
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL], add: [NET_ADMIN]}
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "causeway.nodeMounts" -}}
volumeMounts:
  - {name: config, mountPath: /etc/causeway, readOnly: true}
  - {name: sysctls, mountPath: /host/proc/sys/net}
  - {name: tun, mountPath: /dev/net/tun, readOnly: true}
  - {name: sockets, mountPath: /var/run/wireguard}
{{- end }}

{{/* The number of nodes that can run a gateway; 0: not known, as in `helm template`. Taints that follow a node's state do
not count. */}}
{{- define "causeway.nodes" -}}
{{- $nodes := int .Values.cluster.nodes -}}
{{- if not $nodes -}}
{{- range $node := ((lookup "v1" "Node" "" "").items | default list) -}}
{{- $fits := true -}}
{{- range $key, $value := $.Values.gateway.nodeSelector -}}
{{- if ne (toString (get ($node.metadata.labels | default dict) $key)) (toString $value) }}{{ $fits = false }}{{ end -}}
{{- end -}}
{{- if not $.Values.gateway.tolerations -}}
{{- range $taint := ($node.spec.taints | default list) -}}
{{- if and (ne $taint.effect "PreferNoSchedule") (not (hasPrefix "node.kubernetes.io/" $taint.key)) }}{{ $fits = false }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $fits }}{{ $nodes = add1 $nodes }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $nodes -}}
{{- end }}

{{/* The number of gateways: one if there is one node, because gateways listen on the node's own port. */}}
{{- define "causeway.gateways" -}}
{{- if eq (include "causeway.nodes" .) "1" }}1{{ else }}{{ int .Values.gateway.replicas }}{{ end -}}
{{- end }}

{{- define "causeway.antiAffinity" -}}
{{- if and (eq .Values.gateway.antiAffinity "required") (eq (include "causeway.nodes" .) "1") }}preferred{{ else }}{{ .Values.gateway.antiAffinity }}{{ end -}}
{{- end }}

{{/* The number of ordinals whose Secret is in the gateways' volume, at least eight. So more replicas than before need no
new pod template, and running gateways go on. */}}
{{- define "causeway.ordinals" -}}
{{ max 8 (int .Values.gateway.replicas) }}
{{- end }}

{{/* The volumes of a daemon on the node: (list . "gateway") */}}
{{- define "causeway.nodeVolumes" -}}
volumes:
  - name: config
    configMap: {name: {{ include "causeway.name" (index . 0) }}-{{ index . 1 }}}
  - name: sysctls
    hostPath: {path: /proc/sys/net, type: Directory}
  - name: tun
    hostPath: {path: /dev/net/tun, type: CharDevice}
  - name: sockets
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}
