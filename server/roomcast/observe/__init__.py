"""What operators see: log lines (logging, scrub, sink) and metrics (metrics, loop_lag).

Shells count and time through the port `Observer` and log with structlog; both end here.
"""

from roomcast.observe.logging import configure, report_loop_exception
from roomcast.observe.loop_lag import watch_loop
from roomcast.observe.metrics import CONTENT_TYPE, METRICS, NullObserver, PrometheusObserver

__all__ = [
    "CONTENT_TYPE",
    "METRICS",
    "NullObserver",
    "PrometheusObserver",
    "configure",
    "report_loop_exception",
    "watch_loop",
]
