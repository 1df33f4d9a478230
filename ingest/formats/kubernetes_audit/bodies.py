"""The parts of API objects that are indexed: pods and their templates, RBAC, services, webhooks, reviews.

Names as in https://kubernetes.io/docs/reference/kubernetes-api/. Environment variables, data of config maps and
secrets, labels and annotations are left out on purpose.
"""

from __future__ import annotations

from ingest.formats.kubernetes_audit.shape import Shape

_CONTAINER = """
    name keyword container
    image keyword image asked for
    command keyword entry point
    args keyword arguments
    imagePullPolicy keyword Always, IfNotPresent, Never
    ports.containerPort long port in the container
    ports.hostPort long port on the node
    securityContext.privileged boolean all rights on the node
    securityContext.allowPrivilegeEscalation boolean may gain rights
    securityContext.runAsUser long user id
    securityContext.runAsGroup long group id
    securityContext.runAsNonRoot boolean root is refused
    securityContext.readOnlyRootFilesystem boolean root file system is read-only
    securityContext.procMount keyword Default or Unmasked
    securityContext.capabilities.add keyword Linux capabilities added
    securityContext.capabilities.drop keyword Linux capabilities dropped
    securityContext.seccompProfile.type keyword seccomp profile
    securityContext.appArmorProfile.type keyword AppArmor profile
    volumeMounts.name keyword volume mounted
    volumeMounts.mountPath keyword where it is mounted
    volumeMounts.readOnly boolean mounted read-only
"""

_POD = """
    hostNetwork boolean shares the network of the node
    hostPID boolean shares the processes of the node
    hostIPC boolean shares the IPC of the node
    shareProcessNamespace boolean containers see each other's processes
    nodeName keyword node asked for
    serviceAccountName keyword service account it runs as
    serviceAccount keyword the same, older name
    automountServiceAccountToken boolean gets a token
    restartPolicy keyword Always, OnFailure, Never
    priorityClassName keyword priority class
    runtimeClassName keyword runtime class
    imagePullSecrets.name keyword secret for pulling images
    securityContext.runAsUser long user id
    securityContext.runAsGroup long group id
    securityContext.runAsNonRoot boolean root is refused
    securityContext.fsGroup long group of volumes
    securityContext.seccompProfile.type keyword seccomp profile
    tolerations.key keyword taint tolerated
    tolerations.effect keyword effect of that taint
    volumes.name keyword volume
    volumes.hostPath.path keyword path of the node mounted into the pod
    volumes.hostPath.type keyword what has to be at that path
    volumes.secret.secretName keyword secret mounted
    volumes.configMap.name keyword config map mounted
    volumes.nfs.server keyword NFS server
    volumes.nfs.path keyword path on it
"""

_OTHER_SPECS = """
    type keyword type of a service: ClusterIP, NodePort, LoadBalancer, ExternalName
    externalName keyword name an ExternalName service stands for
    externalIPs keyword addresses a service claims
    loadBalancerIP keyword address asked for
    ports.port long port of a service
    ports.nodePort long port on every node
    ports.protocol keyword TCP, UDP, SCTP
    replicas long number of pods
    schedule keyword schedule of a cron job
    suspend boolean whether jobs are suspended
    unschedulable boolean node is cordoned
    hostPath.path keyword path of the node that a persistent volume is
    signerName keyword signer of a certificate request
    usages keyword usages of the certificate asked for
    groups keyword groups of a certificate request or a review
    username keyword user of a certificate request
    user keyword user a review asks about
    audiences keyword audiences of a token
    expirationSeconds long life of a token or certificate
    boundObjectRef.kind keyword kind a token is bound to
    boundObjectRef.name keyword object a token is bound to
    resourceAttributes.namespace keyword namespace a review asks about
    resourceAttributes.verb keyword verb a review asks about
    resourceAttributes.group keyword API group a review asks about
    resourceAttributes.resource keyword resource a review asks about
    resourceAttributes.subresource keyword subresource a review asks about
    resourceAttributes.name keyword name a review asks about
    nonResourceAttributes.path keyword path a review asks about
    nonResourceAttributes.verb keyword verb a review asks about
    rules.host keyword host of an ingress
    policyTypes keyword directions of a network policy
"""

_TOP = """
    kind keyword kind of the object
    apiVersion keyword group and version
    type keyword type of a secret
    immutable boolean can't be changed
    automountServiceAccountToken boolean of a service account
    roleRef.apiGroup keyword group of the role bound
    roleRef.kind keyword Role or ClusterRole
    roleRef.name keyword role bound
    subjects.kind keyword User, Group, ServiceAccount
    subjects.name keyword who gets the role
    subjects.namespace keyword namespace of a service account
    subjects.apiGroup keyword group of the subject's kind
    rules.apiGroups keyword API groups a role covers
    rules.resources keyword resources a role covers
    rules.resourceNames keyword names a role is limited to
    rules.verbs keyword verbs a role allows
    rules.nonResourceURLs keyword paths a role covers
    webhooks.name keyword admission webhook
    webhooks.failurePolicy keyword Ignore or Fail
    webhooks.sideEffects keyword side effects it admits
    webhooks.clientConfig.url wildcard URL objects are sent to
    webhooks.clientConfig.service.name keyword service objects are sent to
    webhooks.clientConfig.service.namespace keyword its namespace
    webhooks.clientConfig.service.path keyword its path
    webhooks.rules.operations keyword operations it sees
    webhooks.rules.apiGroups keyword API groups it sees
    webhooks.rules.resources keyword resources it sees
    command keyword command of an exec, where the body has it
    container keyword container of an exec or attach
    stdin boolean exec with input
    stdout boolean exec with output
    tty boolean exec on a terminal
"""

_RESULT = """
    reason keyword why a Status was returned
    message wildcard the same in words
    code long HTTP status of a Status
    status.phase keyword phase of the object
    status.allowed boolean answer of an access review
    status.denied boolean explicit refusal of an access review
    status.reason keyword why
    status.authenticated boolean answer of a token review
    status.user.username keyword user of the token reviewed
"""


def _below(prefix: str, rows: str) -> str:
    return "\n".join(prefix + row.strip() for row in rows.splitlines() if row.strip())


_POD_SPEC = "\n".join(
    (_POD, *(_below(f"{name}.", _CONTAINER) for name in ("containers", "initContainers", "ephemeralContainers")))
)
_SPEC = "\n".join((_below("spec.", _POD_SPEC), _below("spec.", _OTHER_SPECS)))
_TEMPLATES = "\n".join(
    (_below("spec.template.spec.", _POD_SPEC), _below("spec.jobTemplate.spec.template.spec.", _POD_SPEC))
)

REQUEST = Shape("kubernetes.audit.requestObject.", f"{_TOP}\n{_SPEC}\n{_TEMPLATES}")
RESPONSE = Shape("kubernetes.audit.responseObject.", f"{_TOP}\n{_RESULT}\n{_SPEC}")
