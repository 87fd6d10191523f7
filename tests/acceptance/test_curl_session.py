"""The commands of the README run unchanged against `campaigns up`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from cli.processes import MODULES
from simulator.client import SimulatorClient
from tests.acceptance.commands import Up, is_ready, run, up, wait_for

CREATE = (
    'curl -X POST $API/api/marketing/campaigns -H "Content-Type: application/json" '
    """-d '{"name": "Test Campaign", "template_name": "your_template", "language_code": "en_US", """
    """"daily_send_limit": 250}'"""
)
ADD = (
    'curl -X POST $API/api/marketing/campaigns/{id}/recipients -H "Content-Type: application/json" '
    """-d '{"phone_numbers": ["14694652751", "19453083188"]}'"""
)
ACTIVATE = "curl -X POST $API/api/marketing/campaigns/{id}/activate"
CAMPAIGNS = "/api/marketing/campaigns"
PROCESS_DAILY = "curl -X POST $API/api/marketing/process-daily"
STATS = "curl $API/api/marketing/campaigns/{id}/stats"
SELECT = (
    'campaigns psql -c "SELECT phone_number, status, whatsapp_message_id, sent_at, delivered_at, read_at, '
    "failure_reason FROM campaign_recipients WHERE campaign_id = '{id}' ORDER BY created_at\""
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("up")) as started:
        yield started


def created(running: Up) -> str:
    answer = json.loads(running.shell(CREATE))
    return str(answer["id"])


def rows(running: Up, campaign: str) -> list[list[str]]:
    """The table that psql prints, without its head and foot."""
    lines = running.shell(SELECT.replace("{id}", campaign)).splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")] for line in lines if "|" in line]


def test_up_reports_that_the_simulator_replaces_whatsapp(running: Up) -> None:
    assert "the simulator replaces WhatsApp" in running.stderr
    assert (running.folder / ".campaigns" / "env").stat().st_mode & 0o777 == 0o600


def test_each_process_serves_its_metrics_and_its_health(running: Up) -> None:
    assert running.metrics.keys() == MODULES.keys()
    for name, url in running.metrics.items():
        assert f'campaigns_build_info{{process="{name}",' in running.shell(f"curl -sf {url}")
        server = url.removesuffix("/metrics")
        assert json.loads(running.shell(f"curl -sf {server}/health")) == {"status": "alive"}
        wait_for(f"{name} is ready", partial(is_ready, server), 60)
    assert "METRICS_PORT" not in (running.folder / ".campaigns" / "env").read_text()


def test_a_campaign_from_creation_to_read(running: Up) -> None:
    campaign = created(running)
    assert json.loads(running.shell(ADD.replace("{id}", campaign))) == {
        "added": 2,
        "countries": {"US": 2},
        "duplicates": [],
        "invalid": [],
    }
    assert json.loads(running.shell(ACTIVATE.replace("{id}", campaign)))["status"] == "active"
    totals = json.loads(running.shell(PROCESS_DAILY))
    assert {"released", "skipped", "due_later", "already_released"} <= totals.keys()

    wait_for("both accepted", lambda: all(row[2].startswith("wamid.") for row in rows(running, campaign)))
    assert {row[1] for row in rows(running, campaign)} <= {"sent", "delivered", "read"}
    wait_for("both read", lambda: all(row[1] == "read" for row in rows(running, campaign)), 60)
    found = rows(running, campaign)
    assert [row[0] for row in found] == ["14694652751", "19453083188"]
    for _, _, wamid, sent_at, delivered_at, read_at, reason in found:
        assert wamid.startswith("wamid.")
        assert "" < sent_at <= delivered_at <= read_at
        assert reason == ""

    stats = json.loads(running.shell(STATS.replace("{id}", campaign)))
    expected = {"campaign_id": campaign, "campaign_name": "Test Campaign", "total_target": 2, "read": 2, "pending": 0}
    assert {name: stats[name] for name in expected} == expected
    assert (stats["progress_percentage"], stats["delivery_rate"], stats["read_rate"]) == (100.0, 100.0, 100.0)


def test_the_first_hour_by_the_command_line(running: Up) -> None:
    """The commands of the README, by name, until the campaign is completed; the page shows the end of its id."""
    created = running.shell("campaigns create 'First hour' --template your_template --daily-limit 250 --yes").strip()
    running.shell("campaigns add 'First hour' +14694652752 '+1 (945) 308-3189' --yes")
    running.shell("campaigns activate 'First hour' --yes")
    assert "completed: 2 of 2 handled (100.0 %), 0 failed" in running.shell("campaigns watch 'First hour'")
    short = created[-8:]
    assert f"{short}  completed  First hour  2 of 2 handled" in running.shell("campaigns list")
    assert f"<code>{short}</code>" in running.shell("curl -s $API/")
    wait_for("both read", lambda: json.loads(running.shell(f"campaigns stats {short} --json"))["read"] == 2, 60)
    assert "verdict: exact" in running.shell("campaigns verify")


def test_the_stats_are_those_of_the_documented_example(running: Up) -> None:
    """The test writes the facts of 100 recipients: 50 sent, 45 delivered, 30 read, 5 failed. The stats count them."""
    campaign = created(running)
    numbers = json.dumps([f"1469465{n:04d}" for n in range(1000, 1100)])
    running.shell(ADD.replace("{id}", campaign).replace('["14694652751", "19453083188"]', numbers))
    running.shell(
        f"""campaigns psql -c "UPDATE marketing_campaigns SET status = 'active' WHERE id = '{campaign}'" """
        f"""-c "UPDATE campaign_recipients AS r SET attempt = 1, sent_at = now(), accepted_attempts = 2,
            delivered_at = CASE WHEN n <= 45 THEN now() END, read_at = CASE WHEN n <= 30 THEN now() END,
            failed_attempts = CASE WHEN n > 45 THEN 2 ELSE 0 END,
            failed_attempt = CASE WHEN n > 45 THEN 1 END, failed_at = CASE WHEN n > 45 THEN now() END,
            failure_text = CASE WHEN n > 45 THEN 'undeliverable' END,
            failure_class = CASE WHEN n > 45 THEN 'never' END
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM campaign_recipients
                  WHERE campaign_id = '{campaign}') AS numbered
            WHERE r.id = numbered.id AND n <= 50" """
    )
    stats = json.loads(running.shell(STATS.replace("{id}", campaign)))
    example = {
        "campaign_id": campaign,
        "campaign_name": "Test Campaign",
        "status": "active",
        "total_target": 100,
        "sent": 50,
        "delivered": 45,
        "read": 30,
        "failed": 5,
        "pending": 50,
        "progress_percentage": 50.0,
        "delivery_rate": 90.0,
        "read_rate": 60.0,
    }
    assert {name: stats[name] for name in example} == example


def test_a_second_up_reports_the_running_one(running: Up) -> None:
    second = run("up", "--api-port", "0", cwd=running.folder)
    assert second.returncode == 64
    assert f"already runs in {running.folder}" in second.stderr
    assert str(running.process.pid) in second.stderr


def test_a_taken_port_is_named(running: Up, tmp_path: Path) -> None:
    port = running.api.rpartition(":")[2]
    refused = run("up", "--api-port", port, "--ingress-port", "0", "--simulator-port", "0", cwd=tmp_path)
    assert refused.returncode == 64
    assert f"port {port} is taken" in refused.stderr
    assert "--api-port" in refused.stderr


def test_check_finds_no_problem(running: Up) -> None:
    done = run("check", "--json", cwd=running.folder)
    findings = {finding["about"]: finding["state"] for finding in json.loads(done.stdout)}
    assert done.returncode == 0, done.stderr
    assert {findings[about] for about in ("settings", "topics", "PostgreSQL", "schema")} == {"ok"}
    assert findings["Kafka"] == "warning", "one broker is not three"


def test_repeated_preparations_change_nothing(running: Up) -> None:
    assert "nothing to do" in run("db", "migrate", cwd=running.folder).stderr
    assert "nothing to do" in run("topics", "apply", cwd=running.folder).stderr


def test_campaigns_psql_works_without_an_installed_psql(running: Up) -> None:
    bare = str(running.folder)
    done = run(
        "psql",
        "-c",
        "SELECT 1 AS one, NULL AS nothing",
        "-c",
        "SELECT 'x' AS x WHERE false",
        cwd=running.folder,
        PATH=bare,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == [" one | nothing", "-----+---------", " 1   |", "(1 row)"]
    assert "(0 rows)" in done.stdout
    wrong = run("psql", "-c", "SELECT nonsense", cwd=running.folder, PATH=bare)
    assert wrong.returncode == 1
    assert "nonsense" in wrong.stderr


def test_people_opt_out_by_their_webhooks_and_are_skipped_from_then_on(running: Up) -> None:
    """Each in a way of their own, through the signed webhooks of the simulator. One person answers and stays."""
    people = ["14694650001", "14694650002", "14694650003", "14694650004"]
    word, button, setting, friend = people
    with SimulatorClient(running.simulator) as whatsapp, httpx.Client(base_url=running.api) as api:

        def sent_to(*numbers: str) -> str:
            body = {"name": "People", "template_name": "your_template", "language_code": "en_US", "country": "US"}
            path = f"{CAMPAIGNS}/{api.post(CAMPAIGNS, json=body).json()['id']}"
            assert api.post(f"{path}/recipients", json={"phone_numbers": numbers}).json()["added"] == len(numbers)
            assert api.post(f"{path}/activate").status_code == 200
            wait_for("the end", lambda: api.get(path).json()["status"] == "completed", 60)
            return path

        def out_by(number: str) -> list[str]:
            return list(api.get(f"/api/marketing/subscriptions/{number}").json()["out_by"])

        before = sent_to(*people)
        rows = api.get(f"{before}/recipients").json()["recipients"]
        wamids = {row["phone_number"]: row["whatsapp_message_id"] for row in rows}
        whatsapp.send_event("message", number=word, text="Stop!", reply_to=wamids[word])
        whatsapp.send_event("message", number=button, hides_number=True, type="button", text="Stop promotions",
                            payload="promo-7", reply_to=wamids[button])  # fmt: skip
        whatsapp.send_event("preference", number=setting, hides_number=True, value="stop")
        whatsapp.send_event("message", number=friend, text="Please don't stop", reply_to=wamids[friend])
        expected = {word: ["keyword"], button: ["keyword"], setting: ["platform"], friend: []}
        wait_for("the opt-outs hold", lambda: {number: out_by(number) for number in people} == expected)
        wait_for("the replies are counted", lambda: api.get(f"{before}/stats").json()["replied"] == 3)

        after = api.get(f"{sent_to('+1 469 465 0001', '(469) 465-0002', setting, friend)}/stats").json()
        assert (after["skipped"], after["sent"], after["failed"]) == (3, 1, 0)

        whatsapp.send_event("message", number=setting, text="START")
        whatsapp.send_event("message", number=word, text="START")
        wait_for("a start word revokes a stop word", lambda: out_by(word) == [])
        assert out_by(setting) == ["platform"], "and nothing else"
