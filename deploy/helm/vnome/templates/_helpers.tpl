{{- define "vnome.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "vnome.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "vnome.labels" -}}
{{ include "vnome.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* HOST:PORT of the brokers, a list as JSON. */}}
{{- define "vnome.brokers" -}}
{{- if .Values.bundled.kafka.enabled -}}
{{- list (printf "%s-kafka:9092" (include "vnome.fullname" .)) | toJson -}}
{{- else -}}
{{- .Values.kafka.bootstrapServers | toJson -}}
{{- end -}}
{{- end -}}

{{- define "vnome.redisSecret" -}}
{{- .Values.bundled.redis.enabled | ternary (printf "%s-redis" (include "vnome.fullname" .)) .Values.redis.secret.name -}}
{{- end -}}

{{- define "vnome.redisKey" -}}
{{- .Values.bundled.redis.enabled | ternary "url" .Values.redis.secret.url -}}
{{- end -}}

{{- define "vnome.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "vnome.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Everything that a process of VNOME reads from its environment. `.redis`, `.kafka`: whether it needs them. */}}
{{- define "vnome.env" -}}
{{- $v := .root.Values -}}
- name: VNOME_LOG
  value: json
- name: VNOME_LOG_LEVEL
  value: {{ $v.logLevel }}
- name: VNOME_HOME
  value: /var/lib/vnome
- name: VNOME_THREADS
  valueFrom:
    resourceFieldRef:
      containerName: vnome
      resource: requests.cpu
{{- if .redis }}
- name: VNOME_REDIS_FILE
  value: /etc/vnome/redis/{{ include "vnome.redisKey" .root }}
{{- end }}
{{- if .kafka }}
- name: VNOME_KAFKA
  value: {{ join "," (include "vnome.brokers" .root | fromJsonArray) | quote }}
{{- if not $v.bundled.kafka.enabled }}
- name: VNOME_KAFKA_SECURITY
  value: {{ $v.kafka.security }}
{{- if hasPrefix "sasl_" $v.kafka.security }}
- name: VNOME_KAFKA_MECHANISM
  value: {{ $v.kafka.mechanism }}
- name: VNOME_KAFKA_USER
  value: {{ required "kafka.user is needed with sasl_..." $v.kafka.user | quote }}
- name: VNOME_KAFKA_PASSWORD_FILE
  value: /etc/vnome/kafka/password
{{- end }}
{{- range $name, $file := dict "ca" "CA" "cert" "CERT" "key" "KEY" }}
{{- if index $v.kafka.secret $name }}
- name: VNOME_KAFKA_{{ $file }}
  value: /etc/vnome/kafka/{{ $name }}.pem
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with $v.tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $v.tracing.sampleRatio | quote }}
{{- end }}
{{- end -}}

{{- define "vnome.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: home
  mountPath: /var/lib/vnome
{{- if .redis }}
- name: redis
  mountPath: /etc/vnome/redis
  readOnly: true
{{- end }}
{{- if and .kafka (include "vnome.kafkaFiles" .root) }}
- name: kafka
  mountPath: /etc/vnome/kafka
  readOnly: true
{{- end }}
{{- end -}}

{{- define "vnome.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmp | default "1Gi" }}
- name: home
{{- if .claim }}
  persistentVolumeClaim:
    claimName: {{ .claim }}
{{- else }}
  emptyDir:
    sizeLimit: 1Gi
{{- end }}
{{- if .redis }}
- name: redis
  secret:
    secretName: {{ include "vnome.redisSecret" .root }}
    defaultMode: 0440
{{- end }}
{{- if and .kafka (include "vnome.kafkaFiles" .root) }}
- name: kafka
  secret:
    secretName: {{ .root.Values.kafka.secret.name }}
    defaultMode: 0440
    items:
      {{- include "vnome.kafkaFiles" .root | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Which keys of the secret of Kafka become which files. */}}
{{- define "vnome.kafkaFiles" -}}
{{- $v := .Values -}}
{{- if not $v.bundled.kafka.enabled -}}
{{- $items := list -}}
{{- if hasPrefix "sasl_" $v.kafka.security -}}
{{- $items = append $items (dict "key" $v.kafka.secret.password "path" "password") -}}
{{- end -}}
{{- range $name := list "ca" "cert" "key" -}}
{{- with index $v.kafka.secret $name -}}
{{- $items = append $items (dict "key" . "path" (printf "%s.pem" $name)) -}}
{{- end -}}
{{- end -}}
{{- if $items -}}{{- toYaml $items -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "vnome.spread" -}}
{{- $selector := .selector -}}
{{- range .root.Values.spreadAcross }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- $selector | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
A Deployment. root; component: its name; config: its values; image; args: of vnome; replicas: none where something scales it;
redis, kafka: what it needs; http: whether it serves pages; claim: of VNOME_HOME, else it is empty at each start; grace: seconds
from SIGTERM to SIGKILL; startup: seconds to come up; one: whether there must never be two.
*/}}
{{- define "vnome.deployment" -}}
{{- $root := .root -}}
{{- $selector := printf "%s\napp.kubernetes.io/component: %s" (include "vnome.selector" $root) .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "vnome.fullname" $root }}-{{ .component }}
  labels:
    {{- include "vnome.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  {{- if .one }}
  strategy:
    type: Recreate
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  minReadySeconds: 5
  {{- end }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "vnome.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        vnome/metrics: "yes"
        {{- range .labels }}
        {{ . }}: "yes"
        {{- end }}
      {{- with merge (dict) (.annotations | default dict) .config.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace }}
      {{- with $root.Values.images.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .config.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      securityContext:
        {{- include "vnome.podSecurity" $root | nindent 8 }}
      containers:
        - name: vnome
          image: {{ .image | quote }}
          imagePullPolicy: {{ $root.Values.images.pullPolicy }}
          command: [vnome]
          args:
            {{- toYaml .args | nindent 12 }}
          env:
            {{- include "vnome.env" . | nindent 12 }}
            {{- with .env }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            {{- if .http }}
            - name: http
              containerPort: 8080
            {{- end }}
            - name: metrics
              containerPort: 9100
          {{- /* Ready may take as long as there are no partitions; so it is the start-up that has a budget, and being
                 ready is asked for afterwards. */}}
          startupProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 2
            timeoutSeconds: 3
            failureThreshold: {{ div (.startup | default 120) 2 }}
          livenessProbe:
            httpGet: {path: /healthz, port: metrics}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: {path: /readyz, port: metrics}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 2
          {{- if .http }}
          {{- /* No new connections come once the service has noticed. */}}
          lifecycle:
            preStop:
              sleep: {seconds: 5}
          {{- end }}
          resources:
            {{- toYaml (.resources | default .config.resources) | nindent 12 }}
          securityContext:
            {{- include "vnome.containerSecurity" $root | nindent 12 }}
          volumeMounts:
            {{- include "vnome.mounts" . | nindent 12 }}
            {{- with .mounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "vnome.volumes" . | nindent 8 }}
        {{- with .volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if not .one }}
      topologySpreadConstraints:
        {{- include "vnome.spread" (dict "root" $root "selector" $selector) | nindent 8 }}
      {{- end }}
      {{- range $name := list "nodeSelector" "tolerations" "affinity" }}
      {{- with index $.config $name }}
      {{ $name }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
{{- end -}}

{{/* What values.schema.json cannot say. */}}
{{- define "vnome.check" -}}
{{- $v := .Values -}}
{{- if not (or $v.bundled.redis.enabled $v.redis.secret.name) -}}
{{- fail "redis.secret.name is needed: a secret with the URL of Redis; or bundled.redis.enabled=true for a trial" -}}
{{- end -}}
{{- $streams := or $v.processor.enabled $v.gpuProcessor.enabled $v.edge.agents -}}
{{- if and $streams (not (or $v.bundled.kafka.enabled $v.kafka.bootstrapServers)) -}}
{{- fail "kafka.bootstrapServers is needed; or bundled.kafka.enabled=true for a trial" -}}
{{- end -}}
{{- if and (include "vnome.kafkaFiles" .) (not $v.kafka.secret.name) -}}
{{- fail "kafka.secret.name is needed with this kafka.security" -}}
{{- end -}}
{{- $most := 0 -}}
{{- range list $v.processor $v.gpuProcessor -}}
{{- if .enabled -}}
{{- $most = add $most 1 (.scaling.enabled | ternary .scaling.max .replicas) -}}
{{- end -}}
{{- end -}}
{{- /* One more of each pool while it is rolled: it is ready only with a partition. */ -}}
{{- if gt (int $most) (int $v.kafka.partitions) -}}
{{- fail (printf "processors, and one more of each pool during an update, are up to %d, but kafka.partitions is %d: the rest would have nothing to do" (int $most) (int $v.kafka.partitions)) -}}
{{- end -}}
{{- range list $v.processor $v.gpuProcessor -}}
{{- if and .enabled .scaling.enabled (gt (int .scaling.min) (int .scaling.max)) -}}
{{- fail "scaling.min is above scaling.max" -}}
{{- end -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- fail "ingress.host is needed" -}}
{{- end -}}
{{- $names := list -}}
{{- range $v.edge.agents -}}
{{- if has .name $names -}}{{- fail (printf "edge.agents: two are named %s" .name) -}}{{- end -}}
{{- $names = append $names .name -}}
{{- if not (or .cameras .camerasSecret) -}}{{- fail (printf "edge.agents: %s needs cameras or camerasSecret" .name) -}}{{- end -}}
{{- end -}}
{{- end -}}
