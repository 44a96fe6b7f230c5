"""Dashboard and alert rules use only names that /metrics has, and labels' values that exist."""
import json
import pathlib
import re

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
