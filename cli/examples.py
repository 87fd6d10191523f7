"""The examples in the help of each command. A contract test parses each of them with the real command line."""

from __future__ import annotations

from collections.abc import Iterator

import typer
from typer.main import get_command_name
from typer.models import CommandInfo

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": (
        "campaigns demo",
        "campaigns demo --recipients 300 --json",
        "campaigns demo --running http://127.0.0.1:8000 --simulator http://127.0.0.1:8002",
    ),
    "up": ("campaigns up", "campaigns up --api-port 0 --ingress-port 0 --simulator-port 0"),
    "secrets": ("campaigns secrets --dry-run", "campaigns secrets --yes"),
    "check": ("campaigns check", "campaigns check --json"),
    "numbers": ("campaigns numbers", "campaigns numbers --json"),
    "list": ("campaigns list", "campaigns list --status active --json"),
    "show": ("campaigns show 'Spring sale'", "campaigns show 3f9a1c2e"),
    "create": (
        "campaigns create 'Spring sale' --template spring_offer --language en_US",
        "campaigns create 'Spring sale' --template spring_offer --daily-limit 250 --time-zone America/Sao_Paulo --yes",
        "campaigns create 'Spring sale' --template spring_offer --window 09:00-20:00 --window-zone recipient --yes",
        "campaigns create 'Spring sale' --template spring_offer --canary 2 --canary-wait 30 --opt-out-limit 1 --yes",
    ),
    "edit": (
        "campaigns edit 'Spring sale' --daily-limit 500",
        "campaigns edit 3f9a1c2e --template spring_offer_2 --language en_GB --yes",
        "campaigns edit 3f9a1c2e --no-daily-limit --dry-run",
        "campaigns edit 3f9a1c2e --canary none --failure-limit 30",
        "campaigns edit 3f9a1c2e --days mon,tue,wed,thu,fri --window 10:00-18:00 --quiet 13:00-14:00",
    ),
    "clone": (
        "campaigns clone 'Spring sale' --name 'Summer sale'",
        "campaigns clone 3f9a1c2e --recipients --yes --json",
    ),
    "delete": ("campaigns delete 'Spring sale'", "campaigns delete 3f9a1c2e --yes"),
    "add": (
        "campaigns add 'Spring sale' +14694652751 '+1 945 308 3188'",
        "campaigns add 'Spring sale' numbers.txt --yes",
        "campaigns add 3f9a1c2e - --country US --yes < numbers.txt",
    ),
    "templates list": ("campaigns templates list", "campaigns templates list --status approved --category marketing"),
    "templates show": ("campaigns templates show spring_offer", "campaigns templates show spring_offer --language de"),
    "templates preview": (
        "campaigns templates preview 'Spring sale'",
        "campaigns templates preview 3f9a1c2e --recipient +14694652751",
        'campaigns templates preview 3f9a1c2e --parameters \'["Ana", "19.90"]\'',
    ),
    "templates check": ("campaigns templates check 'Spring sale'", "campaigns templates check 3f9a1c2e --json"),
    "import": (
        "campaigns import 'Spring sale' customers.csv",
        "campaigns import 'Spring sale' customers.csv --parameter 1=first_name --parameter 2=price --country DE --yes",
        "campaigns import 3f9a1c2e - --phone-column mobile --refused refused.csv --yes < customers.csv",
        "campaigns import 3f9a1c2e customers.csv --dry-run",
    ),
    "remove": (
        "campaigns remove 'Spring sale' '+1 945 308 3188'",
        "campaigns remove 3f9a1c2e 0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0 --yes",
    ),
    "adopt": (
        "campaigns adopt 'Spring sale' --table original.campaign_recipients --dry-run",
        "campaigns adopt 3f9a1c2e --table original.campaign_recipients --only campaign_id=42 --refused left.csv --yes",
    ),
    "test-send": (
        "campaigns test-send 'Spring sale' --to +14694652751",
        "campaigns test-send 3f9a1c2e --to +14694652751 --to '+1 945 308 3188' --recipient +14694652799 --yes",
    ),
    "cost": ("campaigns cost 'Spring sale'", "campaigns cost 3f9a1c2e --json"),
    "plan": ("campaigns plan 'Spring sale'", "campaigns plan 3f9a1c2e --category utility --json"),
    "activate": (
        "campaigns activate 'Spring sale'",
        "campaigns activate 3f9a1c2e --dry-run",
        "campaigns activate 3f9a1c2e --ignore-template --yes",
    ),
    "pause": (
        "campaigns pause 'Spring sale' --reason 'wrong picture'",
        "campaigns pause --all --yes --reason incident",
    ),
    "resume": ("campaigns resume 'Spring sale' --retry-failed", "campaigns resume 3f9a1c2e 77b0d4e1 --yes"),
    "cancel": ("campaigns cancel 'Spring sale'", "campaigns cancel 3f9a1c2e --dry-run"),
    "stats": ("campaigns stats 'Spring sale'", "campaigns stats 3f9a1c2e --json"),
    "explain": ("campaigns explain 'Spring sale'", "campaigns explain 3f9a1c2e --json"),
    "watch": ("campaigns watch 'Spring sale'", "campaigns watch 3f9a1c2e --every 10 --json"),
    "export": (
        "campaigns export 'Spring sale' --status failed --format excel --output failed.csv",
        "campaigns export 3f9a1c2e --events > events.csv",
    ),
    "status": ("campaigns status", "campaigns status --json"),
    "lag": ("campaigns lag", "campaigns lag --json"),
    "config": ("campaigns config", "campaigns config --json"),
    "trace": ("campaigns trace '+1 469 465 2751'", "campaigns trace 0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0 --json"),
    "verify": (
        "campaigns verify",
        "campaigns verify --campaign 'Spring sale' --from-topic",
        "campaigns verify --repair-counters --dry-run",
    ),
    "psql": ("campaigns psql", "campaigns psql -c 'SELECT status, count(*) FROM campaign_recipients GROUP BY 1'"),
    "simulator": ("campaigns simulator --help",),
    "unknown list": ("campaigns unknown list", "campaigns unknown list --campaign 'Spring sale' --json"),
    "unknown retry": (
        "campaigns unknown retry --campaign 'Spring sale' --dry-run",
        "campaigns unknown retry 0190b7f2-6a3c-7d41-8e55-3f9a1c2e77b0 --yes",
    ),
    "unknown assume-sent": ("campaigns unknown assume-sent --campaign 'Spring sale' --yes",),
    "parked list": ("campaigns parked list", "campaigns parked list --limit 10 --json"),
    "dead-letters list": ("campaigns dead-letters list", "campaigns dead-letters list --stage sink --all --json"),
    "dead-letters show": (
        "campaigns dead-letters show webhooks.raw.dead/0@17",
        "campaigns dead-letters show webhooks.raw.dead/0@17 --raw > letter.bin",
    ),
    "dead-letters redrive": (
        "campaigns dead-letters redrive webhooks.raw.dead/0@17",
        "campaigns dead-letters redrive --stage reconciler --since 2026-03-01T12:00Z --yes",
    ),
    "dead-letters drop": (
        "campaigns dead-letters drop --reason malformed --dry-run",
        "campaigns dead-letters drop webhooks.raw.dead/0@17 --yes",
    ),
    "breakers list": ("campaigns breakers list", "campaigns breakers list --json"),
    "breakers open": ("campaigns breakers open template spring_offer/en_US --reason 'wrong picture'",),
    "breakers close": ("campaigns breakers close template spring_offer/en_US --yes",),
    "failed list": ("campaigns failed list 'Spring sale'", "campaigns failed list 3f9a1c2e --json"),
    "failed retry": (
        "campaigns failed retry 'Spring sale' --code 131042 --dry-run",
        "campaigns failed retry 3f9a1c2e --class request --yes",
    ),
    "frequency-cap show": ("campaigns frequency-cap show", "campaigns frequency-cap show --json"),
    "frequency-cap set": ("campaigns frequency-cap set --messages 3 --in-days 7 --yes",),
    "frequency-cap remove": ("campaigns frequency-cap remove --yes",),
    "subscriptions list": (
        "campaigns subscriptions list --out",
        "campaigns subscriptions list --source keyword --source platform --json",
    ),
    "subscriptions opt-out": ("campaigns subscriptions opt-out +14694652751 --yes",),
    "subscriptions opt-in": ("campaigns subscriptions opt-in '0171 2345678' --country DE --yes",),
    "subscriptions export": ("campaigns subscriptions export > opt-outs.csv",),
    "subscriptions import": (
        "campaigns subscriptions import opt-outs.csv --dry-run",
        "campaigns subscriptions import crm.csv --phone-column Telefon --country DE --yes",
    ),
    "replay": (
        "campaigns replay --from-topic webhooks.raw --from 2026-03-01T12:00Z --dry-run",
        "campaigns replay --from-topic recipient.events --from 0:1500,3:90 --rate 500 --yes",
        "campaigns replay --from-topic webhooks.raw --resume --yes",
    ),
    "rebuild": ("campaigns rebuild --campaign 'Spring sale' --dry-run", "campaigns rebuild --campaign 3f9a1c2e --yes"),
    "recover": ("campaigns recover", "campaigns recover --force --yes", "campaigns recover --complete"),
    "db migrate": ("campaigns db migrate --dry-run", "campaigns db migrate --yes"),
    "db reader": ("campaigns db reader --dry-run", "campaigns db reader analyst --yes"),
    "topics apply": ("campaigns topics apply --dry-run", "campaigns topics apply --yes"),
    "topics reassignment": ("campaigns topics reassignment > plan.json",),
    "schemas register": ("campaigns schemas register --dry-run", "campaigns schemas register --yes"),
    "ingress": ("campaigns ingress",),
    "api": ("campaigns api",),
    "scheduler": ("campaigns scheduler",),
    "sender": ("campaigns sender",),
    "reconciler": ("campaigns reconciler",),
    "sink": ("campaigns sink", "campaigns sink --accept-topic --yes"),
    "stats-publisher": ("campaigns stats-publisher",),
}
"""Command, with its group, to its examples as they are typed in a shell."""


def add_examples(app: typer.Typer) -> None:
    """Write the examples into the help of each command."""
    for name, command in commands_of(app):
        lines = EXAMPLES.get(name, ())
        command.epilog = "\n\n".join(["Examples:", *lines]) if lines else None


def commands_of(app: typer.Typer, prefix: str = "") -> Iterator[tuple[str, CommandInfo]]:
    """Each command by its name, with the name of its group."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield prefix + (command.name or get_command_name(command.callback.__name__)), command
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands_of(group.typer_instance, f"{prefix}{group.name} ")
