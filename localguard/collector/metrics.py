"""Numbers of one collector process in Prometheus' text format (version 0.0.4). No name of a device or team stands in them."""

from collections import Counter

_HELP = {
    "batches": "Batches by what became of them.",
    "records": "Records that were stored.",
    "alarms": "Histories that broke, by how.",
    "requests": "Requests by path and status.",
}


class Metrics:
    """Counters and the time that batches took."""

    def __init__(self) -> None:
        self._counters: Counter[tuple[str, str]] = Counter()
        self.seconds = 0.0
        """Spent on batches, from their last byte to the answer."""

    def count(self, name: str, labels: str = "", amount: int = 1) -> None:
        """Add to a counter; `labels` are as they are written between the braces."""
        self._counters[name, labels] += amount

    def text(self) -> str:
        """All of them."""
        lines = []
        for name, help in _HELP.items():
            lines += [
                f"# HELP localguard_collector_{name}_total {help}",
                f"# TYPE localguard_collector_{name}_total counter",
            ]
            found = {labels: value for (one, labels), value in sorted(self._counters.items()) if one == name}
            for labels, value in (found or {"": 0}).items():
                shown = "{" + labels + "}" if labels else ""
                lines.append(f"localguard_collector_{name}_total{shown} {value}")
        lines += [
            "# HELP localguard_collector_batch_seconds_total Time that batches took.",
            "# TYPE localguard_collector_batch_seconds_total counter",
            f"localguard_collector_batch_seconds_total {self.seconds:.6f}",
        ]
        return "\n".join(lines) + "\n"
