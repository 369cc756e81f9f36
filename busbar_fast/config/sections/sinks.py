"""What leaves the process besides answers, and which hosts may be asked: `observability`, `security`."""

from collections.abc import Callable

from busbar_fast.config.complaints import TORN_USERINFO, has_torn_userinfo, masked, shown
from busbar_fast.config.guards import Exemptions, complaint_of_entry
from busbar_fast.config.guards.verdicts import Verdict, judge_log_sink, judge_sink
from busbar_fast.config.reading import Section
from busbar_fast.config.schema import NONE, Observability, Secret, Security
from busbar_fast.config.sections.references import complaint_of_token, read_secret
from busbar_fast.config.tree import Scalar

LOG_FORMATS = ("text", "json")
# What is read for the sake of a sink only.
_OF_SINKS = {
    "request_log_webhook_url": (
        "max_inflight_webhook_deliveries",
        "webhook_delivery_timeout_secs",
        "request_log_detail",
    ),
    "otlp_endpoint": ("accept_traceparent",),
}


def read_security(root: Section) -> Security:
    """Return what the guards let through or block besides their own lists."""
    with root.section("security") as section:
        security = Security(
            blocked_metadata_hosts=section.texts("blocked_metadata_hosts", complaint_of_entry),
            allow_metadata_hosts=section.texts("allow_metadata_hosts", complaint_of_entry),
            allow_all_metadata=section.flag("allow_all_metadata", default=False),
            allow_sink_hosts=section.texts("allow_sink_hosts", complaint_of_entry),
        )
        if security.allow_all_metadata:
            section.warn("W8", "allow_all_metadata", "the guard against cloud metadata addresses is off")
        return security


def sink_exemptions(security: Security) -> Exemptions:
    """Return what an operator allowed sinks."""
    return Exemptions(blocked=security.blocked_metadata_hosts, sinks=security.allow_sink_hosts)


def read_sink(section: Section, name: str, judge: Callable[[str, Exemptions], Verdict], allowed: Exemptions) -> Secret:
    """Return where a sink's URL comes from, for it may hold credentials; nowhere if it is missing or refused."""
    node = section.maybe_node(name)
    url = section.maybe_text(name)
    if url is None or not isinstance(node, Scalar):
        return NONE
    verdict = judge(url, allowed)
    if verdict.reason:
        section.error(name, TORN_USERINFO if has_torn_userinfo(url) else verdict.reason, masked(url))
    for entry in verdict.used:
        section.warn("W10", name, f"let through by `{shown(entry)}`")
    return Secret(kind="text", source=node.template)


def read_observability(root: Section, security: Security) -> Observability:
    """Return what is reported, and to whom."""
    exemptions = sink_exemptions(security)
    with root.section("observability") as section:
        for sink, names in _OF_SINKS.items():
            for name in names:
                if section.has(name) and not section.has(sink):
                    section.warn("W21", name, f"no effect without `{sink}`")
        return Observability(
            otlp_endpoint=read_sink(section, "otlp_endpoint", judge_sink, exemptions),
            request_log_webhook_url=read_sink(section, "request_log_webhook_url", judge_log_sink, exemptions),
            max_inflight_webhook_deliveries=section.integer("max_inflight_webhook_deliveries", 64, 1),
            webhook_delivery_timeout_secs=section.integer("webhook_delivery_timeout_secs", 2, 1),
            emit_server_timing=section.flag("emit_server_timing", default=False),
            emit_route_headers=section.flag("emit_route_headers", default=True),
            metrics_token=read_secret(
                section, "metrics_token", section.maybe_node("metrics_token"), complaint_of_token
            ),
            accept_traceparent=section.flag("accept_traceparent", default=True),
            request_log_detail=section.flag("request_log_detail", default=False),
            token_metrics=section.flag("token_metrics", default=False),
            status_page=section.flag("status_page", default=False),
            log_format=section.choice("log_format", "", LOG_FORMATS),
        )
