"""Dashboard and alert rules use only names that /metrics has, and labels' values that exist."""
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

from openmetrics import PROMTOOL

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "packaging/observability"


def offered():
    source = (ROOT / "agent/metrics.c").read_text()
    names = set(re.findall(r"atalaia_[a-z_]+[a-z](?=[{ ])", source))
    names |= {f"atalaia_{n}" for n in re.findall(r"gauge\(\s*b, \"([a-z_]+)\"", source)}
    child = (ROOT / "roles/update-agent/serve_child.c").read_text()
    names |= {f"atalaia_mirror_{n}" for n in re.findall(r'(?:\{ |json_add_u64\(m, )"([a-z_]+)", ', child)}
    return names


def used(text):
    return set(re.findall(r"\batalaia_[a-z_]+", text))


def summary(alert):
    return re.search(rf'alert: {alert}\n(?:.*\n)*?.*summary: "(.*?)"', (FOLDER / "alerts.yml").read_text())[1]


def test_dashboard():
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    queries = [t["expr"] for p in board["panels"] for t in p["targets"]]
    assert len(queries) > 10
    assert used(" ".join(queries)) <= offered()
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    assert all(q.count("(") == q.count(")") for q in queries)


def test_alerts():
    text = (FOLDER / "alerts.yml").read_text()
    names = used(" ".join(re.findall(r"expr: (.*)", text)))
    assert names and names <= offered()
    words = "".join(p.read_text() for folder in ("common/proto", "agent")
                    for p in (ROOT / folder).glob("*.c"))
    for value in re.findall(r'(?:outcome|class|state)="([a-z]+)"', text):
        assert f'"{value}"' in words or f'\\"{value}\\"' in words, value


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here")
def test_prometheus_takes_the_rules(tmp_path):
    done = subprocess.run([PROMTOOL, "check", "rules", FOLDER / "alerts.yml"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and "10 rules found" in done.stdout, done.stdout + done.stderr
    test = tmp_path / "test.yml"
    test.write_text(f"""rule_files: [{FOLDER / "alerts.yml"}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {{series: 'atalaia_update_age_seconds{{feed="signatures"}}', values: '90000+60x120'}}
      - {{series: 'atalaia_events_dropped_total{{class="telemetry"}}', values: '0x60 5x60'}}
      - {{series: atalaia_engine_up, values: '1x30 0x90'}}
      - {{series: atalaia_agent_info, values: '1x120'}}
    alert_rule_test:
      - {{eval_time: 20m, alertname: AtalaiaSignaturesOld, exp_alerts: []}}
      - {{eval_time: 20m, alertname: AtalaiaAgentGone, exp_alerts: []}}
      - {{eval_time: 20m, alertname: AtalaiaEventsLost, exp_alerts: []}}
      - {{eval_time: 29m, alertname: AtalaiaEngineDown, exp_alerts: []}}
      - {{eval_time: 110m, alertname: AtalaiaSignaturesOld, exp_alerts: [{{exp_labels: {{severity: warning, feed: signatures}},
          exp_annotations: {{summary: "{summary("AtalaiaSignaturesOld")}"}}}}]}}
      - {{eval_time: 70m, alertname: AtalaiaEventsLost, exp_alerts: [{{exp_labels: {{severity: critical, class: telemetry}},
          exp_annotations: {{summary: "{summary("AtalaiaEventsLost")}"}}}}]}}
      - {{eval_time: 60m, alertname: AtalaiaEngineDown, exp_alerts: [{{exp_labels: {{severity: critical}},
          exp_annotations: {{summary: "{summary("AtalaiaEngineDown")}"}}}}]}}
""")
    done = subprocess.run([PROMTOOL, "test", "rules", test], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_completions_know_every_verb():
    for program, source in (("atalaia", "roles/operator/main.c"), ("atalaia-console", "roles/console/main.c")):
        text = (ROOT / source).read_text()
        verbs = re.findall(r'^\t\{ "([a-z-]+)",', text, re.M)
        options = set(re.findall(r'"(--[a-z-]+)"', text)) if program == "atalaia" else set(
            re.findall(r"--[a-z-]+(?==| |\")", " ".join(re.findall(r'^\t\{ "[a-z-]+", "([^"]*)"', text, re.M))))
        assert len(verbs) > 8 and options
        for shell in ("bash", "zsh", "fish"):
            page = (ROOT / f"packaging/completion/{program}.{shell}").read_text()
            for word in verbs:
                assert re.search(rf"\b{word}\b", page), (program, shell, word)
            for option in options - {"--version"}:
                assert option in page or f"-l {option[2:]}" in page, (program, shell, option)


def test_manual_pages_have_the_options_of_the_programs():
    """Sections CONFIGURATION are made by packaging/man/options.py; this says when it must run again."""
    done = subprocess.run([sys.executable, ROOT / "packaging/man/options.py", os.environ["ATALAIA_BIN"]],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
