#!/usr/bin/env python3
"""Lints the dashboards and runs every panel's query against a real Prometheus that scrapes a demo.

Every query must answer without error and with data. Grafana itself is not needed.
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import demo

FOLDER = demo.ROOT / "deploy/grafana/dashboards"
# What stands for the dashboard's variables. No panel is excused from having data.
VARIABLES = {"$__rate_interval": "15s", "$instance": ".*", "$horizon": "5min"}
# Longest wait until every panel has data: rates need scrapes, errors need forecasts come due.
DATA_S = 150
UNITS = {"bool", "s", "percentunit", "cps", "short", "velocityms"}


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def lint(name, dashboard, documented):
    """What is wrong with the dashboard itself."""
    found = []
    if not dashboard.get("uid") or not dashboard.get("description"):
        found.append("no uid or no description")
    variables = [variable["name"] for variable in dashboard["templating"]["list"]]
    if "datasource" not in variables:
        found.append("no variable «datasource»")
    ids = [panel["id"] for panel in panels(dashboard)]
    if len(ids) != len(set(ids)):
        found.append("panel ids are not unique")
    for panel in panels(dashboard):
        title = panel["title"]
        if not panel.get("description"):
            found.append(f"{title}: no description")
        if panel["fieldConfig"]["defaults"].get("unit") not in UNITS:
            found.append(f"{title}: unit {panel['fieldConfig']['defaults'].get('unit')!r}")
        for target in panel["targets"]:
            text = target["expr"]
            if {panel["datasource"]["uid"], target["datasource"]["uid"]} != {"${datasource}"}:
                found.append(f"{title}: the data source is not the variable")
            if re.search(r"\brate\((?![^()]*\[\$__rate_interval\])", text):
                found.append(f"{title}: a rate without $__rate_interval")
            for metric in re.findall(r"roadcast_\w+", text):
                if re.sub(r"_(bucket|sum|count)$", "", metric) not in documented:
                    found.append(f"{title}: {metric} is not in docs/metrics.md")
    return [f"{name}: {problem}" for problem in found]


def query(prometheus, expression):
    """Number of series with a value, or the error."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    arguments = urllib.parse.urlencode({"query": expression})
    answer = demo.get_json(f"{prometheus}/api/v1/query?{arguments}")
    if answer is None or answer["status"] != "success":
        raise AssertionError(f"{expression}: {answer}")
    return sum(series["value"][1] != "NaN" for series in answer["data"]["result"])


def main():
    documented = set(re.findall(r"`(roadcast_\w+)`", (demo.ROOT / "docs/metrics.md").read_text()))
    dashboards = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
    problems = [
        problem
        for name, dashboard in dashboards.items()
        for problem in lint(name, dashboard, documented)
    ]
    alerts = (demo.ROOT / "deploy/prometheus/alerts.yml").read_text()
    problems += [
        f"alerts.yml: {metric} is not in docs/metrics.md"
        for metric in sorted(set(re.findall(r"roadcast_\w+", alerts)) - documented)
    ]
    expressions = [
        (f"{name}: {panel['title']}", target["expr"])
        for name, dashboard in dashboards.items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]

    out = demo.ROOT / "target/deploy"
    out.mkdir(parents=True, exist_ok=True)
    with demo.demo(out / "demo.log") as (_mqtt, http):
        port = demo.free_port()
        configuration = out / "prometheus.yml"
        configuration.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            "  - job_name: roadcast\n"
            f"    static_configs: [{{targets: ['127.0.0.1:{http}']}}]\n"
        )
        command = [
            "prometheus", f"--config.file={configuration}", f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={out / f'tsdb-{port}'}", "--log.level=warn",
        ]  # fmt: skip
        prometheus = f"http://127.0.0.1:{port}"
        with demo.running(command, out / "prometheus.log"):
            demo.until("Prometheus is ready", demo.READY_S, lambda: demo.is_ready(f"{prometheus}/-/ready"))
            empty = list(expressions)

            def all_answer():
                empty[:] = [(title, text) for title, text in empty if not query(prometheus, text)]
                return not empty

            try:
                demo.until("every query has data", DATA_S, all_answer)
            except AssertionError:
                problems += [f"{title}: no data: {text}" for title, text in empty]
    subprocess.run(["rm", "-rf", out / f"tsdb-{port}"], check=True)

    print(f"{len(expressions)} queries of {len(dashboards)} dashboard run against Prometheus")
    for problem in problems:
        print(f"FAILED {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
