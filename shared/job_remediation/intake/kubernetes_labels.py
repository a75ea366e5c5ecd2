"""What in a cluster the labels of a Prometheus alert, or the dimensions of a split, point at."""

from collections.abc import Mapping

from shared.job_remediation.signal import Target

# The most special first: an alert about a Job has its pod's labels too. `job` is no Job but the scrape job.
_KINDS = (
    ("job_name", "job"),
    ("cronjob", "cronjob"),
    ("deployment", "deployment"),
    ("statefulset", "statefulset"),
    ("daemonset", "daemonset"),
    ("pod", "pod"),
    ("podname", "pod"),
    ("persistentvolumeclaim", "persistentvolumeclaim"),
    ("node", "node"),
)
_NAMESPACES = ("namespace", "exported_namespace", "podnamespace", "kubernetes namespace")
_LONGEST_NAME = 253


def kubernetes_target(labels: Mapping[str, str], cluster_id: str | None, cluster: str | None) -> Target | None:
    """The object, or the namespace, that the labels name; None when they name neither. `labels` by lower-case name."""
    namespace = next((labels[name][:_LONGEST_NAME] for name in _NAMESPACES if labels.get(name)), None)
    kind, name = next(((kind, labels[label]) for label, kind in _KINDS if labels.get(label)), (None, ""))
    if namespace is None and kind is None:
        return None
    return Target(
        resource=cluster_id,
        cluster=None if cluster_id else cluster,
        namespace=None if kind == "node" else namespace,
        object=f"{kind}/{name[:_LONGEST_NAME]}" if kind else None,
    )
