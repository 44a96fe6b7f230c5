"""Port 10443: orders, two signatures, policies, tokens, and the pages about the installation."""
import base64
import hashlib
import json
import pathlib
import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from consoleclient import Agent, Console, new_key
from webclient import Web, logged_in

REPO = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    c = Console(tmp_path_factory.mktemp("tasks") / "c", address="127.0.83.1", init=["--two-signatures"]).start()
    yield c
    assert c.stop() == 0, c.process.err[-20:]


@pytest.fixture(scope="module")
def admin(console):
    return logged_in(console, "ana", "administrator")


@pytest.fixture(scope="module")
def operator(console):
    return logged_in(console, "ope", "operator")


@pytest.fixture(scope="module")
def agents(console):
    till = console.token("--uses", "2", "--group", "till")
    return [Agent(console, console.token(), "pc-1", "m1"), Agent(console, till, "till-1", "m2"),
            Agent(console, till, "till-2", "m3")]


@pytest.fixture(scope="module")
def second(console):
    """The key that --two-signatures made for a second person: in a browser it would be WebCrypto's."""
    return serialization.load_pem_private_key((console.state / "offline" / "task-second.pem").read_bytes(), None)


def spki(key):
    return base64.b64encode(key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).decode()


def sign(key, data):
    """What crypto.subtle.sign answers: r and s side by side."""
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return (r.to_bytes(32, "big") + s.to_bytes(32, "big")).hex()


ROLE = {"type": "role.set", "args": {"role": "update-agent", "on": True}}


def test_a_task_reaches_whom_its_preview_names(operator, agents):
    preview = operator.post("/tasks/preview", {"target": "group:till", "type": "status"}).body
    assert preview["total"] == preview["reachable"] == 2 and preview["needed"] == 1 and preview["have"] == 1
    assert {r[0] for r in preview["rows"]} == {agents[1].id, agents[2].id}
    sent = operator.post("/tasks", {"target": "group:till", "type": "status"})
    assert sent.status == 201 and sent.body["agents"] == 2
    assert [t["signed"]["id"] for t in agents[1].pull()[1]["tasks"]] == [sent.body["id"]]
    assert agents[0].pull()[0] == 204
    agents[1].report(sent.body["id"], "done", result={"x": 1})
    task = operator.get(f"/tasks/{sent.body['id']}").body
    assert (task["state"], task["by"], task["agents_done"], task["target_text"]) == ("open", "ope", 1, "till")
    assert {a["host"]: a["state"] for a in task["agents"]} == {"till-1": "done", "till-2": "queued"}
    assert task["signatures"][0]["console"] is True
    assert operator.post(f"/tasks/{sent.body['id']}/cancel").status == 202
    assert operator.get(f"/tasks/{sent.body['id']}").body["state"] == "ended"
    listed = operator.get("/tasks?limit=1").body["tasks"]
    assert [t["id"] for t in listed] == [sent.body["id"]]
    assert operator.get(f"/tasks?before={sent.body['id']}").body["tasks"] == []


def test_orders_stay_within_the_groups_of_the_user(console, operator, agents):
    web = logged_in(console, "till-op", "operator", ["till"])
    other = operator.post("/tasks", {"target": agents[0].id, "type": "status"}).body["id"]
    for target in ("*", "group:default", agents[0].id):
        assert web.post("/tasks", {"target": target, "type": "status"}).code == "outside-groups", target
        assert web.post("/tasks/preview", {"target": target}).code == "outside-groups", target
    move = {"type": "agent.group", "args": {"group": "default"}}
    assert web.post("/tasks", {"target": agents[2].id, **move}).code == "outside-groups"
    mine = web.post("/tasks", {"target": agents[2].id, "type": "status"}).body["id"]
    assert {t["target"] for t in web.get("/tasks").body["tasks"]} <= {"group:till", agents[1].id, agents[2].id}
    assert web.get(f"/tasks/{mine}").status == 200 and web.get(f"/tasks/{other}").status == 404
    assert web.post(f"/tasks/{other}/cancel").status == 404 and web.get(f"/tasks/{other}/bytes").status == 404


def test_a_task_waits_for_the_second_signature(console, admin, operator, agents, second):
    types = {t["type"]: t for t in operator.get("/task-types").body["types"]}
    assert types["role.set"]["signatures"] == 2 and types["status"]["signatures"] == 1
    sent = operator.post("/tasks", {"target": agents[0].id, **ROLE})
    assert sent.status == 202 and (sent.body["state"], sent.body["have"], sent.body["needed"]) == ("waiting", 1, 2)
    task = sent.body["id"]
    assert admin.get("/overview").body["attention"][-1]["kind"] == "waiting-signature"
    agents[0].pull()  # what earlier tests sent
    assert agents[0].pull()[0] == 204
    assert task in [t["id"] for t in admin.get("/tasks").body["tasks"] if t["state"] == "waiting"]

    answer = admin.get(f"/tasks/{task}/bytes").body
    data = base64.b64decode(answer["bytes"])
    assert json.loads(data) == answer["envelope"]["signed"] and json.loads(data)["id"] == task
    registered = admin.post("/me/keys", {"label": "laptop", "spki": spki(second)})
    keyid = registered.body["keyid"]
    assert keyid in answer["keyids"] and registered.status == 201
    assert "role.set" in admin.get("/me/keys").body["keys"][0]["tasks"]
    own = answer["envelope"]["signatures"][0]["keyid"]

    def hand_in(web, keyid, sig, **more):
        return web.post(f"/tasks/{task}/signatures", {"keyid": keyid, "sig": sig, **more})
    stranger = new_key()
    strange = admin.post("/me/keys", {"spki": spki(stranger)}).body["keyid"]
    assert hand_in(admin, strange, sign(stranger, data)).code == "not-a-signer"
    assert hand_in(admin, keyid, sign(stranger, data)).code == "bad-signature"
    assert hand_in(admin, keyid, sign(second, data + b" ")).code == "bad-signature"
    assert hand_in(admin, keyid, "00" * 64).code == "malformed"
    assert hand_in(admin, own, sign(second, data)).code == "signed-already"
    assert hand_in(operator, keyid, sign(second, data)).code == "forbidden"  # the key of another user
    assert agents[0].pull()[0] == 204

    done = hand_in(admin, keyid, sign(second, data))
    assert done.status == 200 and done.body["state"] == "open" and done.body["have"] == 2
    assert {s.get("by") for s in done.body["signatures"]} == {None, "ana"} and done.body["by"] == "ope"
    envelope = agents[0].pull()[1]["tasks"][0]
    assert envelope["signed"]["id"] == task and {s["keyid"] for s in envelope["signatures"]} == {own, keyid}
    sig = next(bytes.fromhex(s["sig"]) for s in envelope["signatures"] if s["keyid"] == keyid)
    second.public_key().verify(sig, data, ec.ECDSA(hashes.SHA256()))
    assert hand_in(admin, keyid, sign(second, data)).code == "not-waiting"


def test_the_key_id_is_that_of_the_key(admin):
    key = new_key()
    made = admin.post("/me/keys", {"label": "x", "spki": spki(key)}).body
    pem = key.public_key().public_bytes(serialization.Encoding.PEM,
                                        serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    canon = json.dumps({"keytype": "ecdsa", "keyval": {"public": pem}, "scheme": "ecdsa-sha2-nistp256"},
                       separators=(",", ":"), sort_keys=True, ensure_ascii=False).replace("\\n", "\n")
    assert made["key"]["keyval"]["public"] == pem
    assert made["keyid"] == hashlib.sha256(canon.encode()).hexdigest()
    assert admin.post("/me/keys", {"spki": spki(key)}).code == "known-key"
    assert admin.post("/me/keys", {"spki": "AAAA"}).code == "malformed"
    wrong = spki(ec.generate_private_key(ec.SECP384R1()))
    assert admin.post("/me/keys", {"spki": wrong}).code == "malformed"
    assert admin.post(f"/me/keys/{made['keyid']}/remove").status == 204


def test_a_waiting_task_can_be_withdrawn(operator, agents, second):
    task = operator.post("/tasks", {"target": agents[0].id, **ROLE}).body["id"]
    assert operator.post(f"/tasks/{task}/cancel").status == 202
    assert operator.get(f"/tasks/{task}").body["state"] == "ended"
    data = base64.b64decode(operator.get(f"/tasks/{task}/bytes").body["bytes"])
    keyid = next(k for k in operator.get(f"/tasks/{task}/bytes").body["keyids"])
    assert operator.post(f"/tasks/{task}/signatures", {"keyid": keyid, "sig": sign(second, data)}).code == "not-waiting"


def test_programs_of_2226_hear_that_signatures_are_missing(console, agents):
    status, answer = console.admin("POST", "/v1/tasks", {"target": agents[0].id, **ROLE})
    assert (status, answer["code"]) == (422, "threshold")


def test_policies_are_checked_and_published(console, admin, operator):
    limited = Web(console)
    limited.login("till-op")
    schema = {m["path"]: m for m in operator.get("/policy/schema").body["members"]}
    assert schema["update.delta"]["choices"] == ["prefer", "require", "off"]
    document = {"update": {"interval": "2h"}, "future": {"x": 1}}
    check = limited.post("/policy/check", {"name": "group/till.json", "document": document}).body
    change = next(d for d in check["diff"] if d["member"] == "update.interval")
    assert change["after"] == "2h" and change["origin_after"] == "group/till.json" and check["unknown"]
    refused = operator.post("/policy/check", {"name": "default.json", "document": {"update": {"interval": 5}}})
    assert (refused.status, refused.code) == (422, "refused") and "update.interval" in refused.body["detail"]
    assert limited.call("PUT", "/policies/default.json", {}).code == "outside-groups"
    assert limited.call("PUT", "/policies/group/shop.json", {}).code == "outside-groups"
    assert limited.call("PUT", "/policies/group/till.json", document).status == 200
    values = {v["member"]: v for v in limited.get("/policy/effective?group=till").body["values"]}
    assert (values["update.interval"]["value"], values["update.interval"]["origin"]) == ("2h", "group/till.json")
    assert {p["name"] for p in admin.get("/policy/list").body["policies"]} == {"default.json", "group/till.json"}
    assert limited.get("/policies/group/till.json").body == document
    entries = admin.get("/audit?user=till-op&action=PUT").body["entries"]
    assert [e["status"] for e in entries] == [200, 102, 403, 403]   # 102: about to be done


def test_tokens_stay_within_groups(console, admin, operator):
    limited = Web(console)
    limited.login("till-op")
    assert limited.post("/tokens", {"group": "default"}).code == "outside-groups"
    made = limited.post("/tokens", {"group": "till", "uses": 3}).body
    assert made["token"].startswith("ATL1") and made["token"] in made["commands"][0]["command"]
    assert {t["group"] for t in limited.get("/tokens").body["tokens"]} == {"till"}
    foreign = operator.post("/tokens", {}).body["id"]
    assert limited.post(f"/tokens/{foreign}/revoke").status == 404
    assert limited.post(f"/tokens/{made['id']}/revoke").status == 204
    assert made["token"] not in str(admin.get("/audit?limit=1000").body)


def test_an_auditor_changes_nothing(console, agents):
    web = logged_in(console, "aud", "auditor")
    table = (REPO / "roles/console/web_table.c").read_text()
    rows = re.findall(r'\{ "(POST|PUT|DELETE)", "/api/v1(/[^"]*)", (\w+)', table)
    assert len(rows) > 25
    own = {"/login", "/logout", "/me/password", "/me/totp/start", "/me/totp/remove", "/me/totp",
           "/me/sessions/{}/revoke", "/tasks/preview", "/policy/check", "/cascade/check", "/ports/check"}
    for method, path, _ in rows:
        if path in own:
            continue
        answer = web.call(method, path.replace("{}", agents[0].id).replace("*", "default.json"),
                          None if method == "DELETE" else {})
        assert (answer.status, answer.code) == (403, "forbidden"), (method, path)
    for path in ("/overview", "/computers", "/events", "/tasks", "/tokens", "/feeds", "/cascade", "/users",
                 "/audit", "/settings", "/ports", "/policy/list", "/authority"):
        assert web.get(path).status == 200, path


def test_the_picture_of_the_cascade(console, admin, agents):
    one, two = agents[0], agents[1]
    def send(agent, seq, type, data):
        assert agent.call("POST", "/v1/events", [agent.event(seq, type=f"org.atalaia.{type}", data=data)])[0] == 200
    send(two, 1, "role.changed", {"role": "update-agent", "state": "on", "mode": "mirror"})
    send(two, 2, "mirror.published", {"feed": "signatures", "version": 5, "mirror": "server", "bytes_wire": 700})
    send(one, 1, "update.applied", {"feed": "signatures", "version": 5, "mirror": "till-1", "bytes_wire": 300})
    send(agents[2], 1, "update.applied", {"feed": "signatures", "version": 4, "mirror": "gone", "bytes_wire": 9})
    got = admin.get("/cascade").body
    nodes = {n["id"]: n for n in got["nodes"]}
    assert set(nodes) == {"server", two.id, "name:gone"}
    assert (nodes[two.id]["clients"], nodes[two.id]["bytes_out"], nodes[two.id]["bytes_in"]) == (1, 300, 700)
    assert nodes[two.id]["feeds"][0][:2] == ["signatures", 5] and nodes["server"]["bytes_out"] == 700
    assert [(x["from"], x["to"], x["bytes"]) for x in got["links"]] == [("server", two.id, 700)]
    assert {"node": "name:gone", "count": 1, "outdated": 1} in got["clients"]
    check = admin.post("/cascade/check", {"agent": one.id, "settings": {
        "passive_first": "3300", "passive_count": "50", "passive_address": "host.example"}}).body["findings"]
    assert {f["name"]: f["good"] for f in check} == {"ports": True, "passive_range": False, "passive_address": False}
    assert all(f["good"] for f in admin.post("/cascade/check", {"settings": {}}).body["findings"])


def test_what_this_installation_is(console, admin):
    settings = admin.get("/settings").body
    assert settings["certificate"]["own"] is True and settings["host"] == console.address
    ports = {p["name"]: p for p in admin.post("/ports/check").body["ports"]}
    assert ports["agents"]["check"]["good"] and ports["web"]["port"] == console.web_port
    assert ports["mirror-http"]["check"]["good"] is False  # none runs in this test
    assert "check" not in ports["tasks"]
    assert (ports["mirror-passive"]["port"], ports["mirror-passive"]["to_port"]) == (3400, 3999)
    rules = admin.get("/ports").body["rules"]
    assert ", 3400-3999, " in rules["nft"] and "ufw allow 3400:3999/tcp\n" in rules["ufw"]
    assert "--add-port=3400-3999/tcp\n" in rules["firewalld"]
    feeds = {f["feed"]: f for f in admin.get("/feeds").body["feeds"]}
    assert feeds["policies"]["known"] and feeds["policies"]["version"] >= 1 and feeds["policies"]["files"] >= 1
    assert feeds["signatures"]["known"] is False and feeds["signatures"]["holders"]


def test_2226_is_the_twin(console, agents):
    for path in ("/v1/computers", "/v1/overview", "/v1/cascade", "/v1/task-types", "/v1/users", "/v1/audit",
                 f"/v1/computers/{agents[0].id}", "/v1/policy/schema", "/v1/settings", "/v1/feeds"):
        assert console.admin("GET", path)[0] == 200, path
    assert console.admin("GET", "/v1/session")[0] == 404 and console.admin("GET", "/v1/live")[0] == 404


def test_the_forms_know_every_task_type_of_the_agent(admin):
    table = (REPO / "agent/task_table.c").read_text()
    types = set(re.findall(r'\{ "([a-z.]+)", (?:ARGS|NULL)', table))
    assert {t["type"] for t in admin.get("/task-types").body["types"]} == types
