"""`campaigns schemas register`: registers the JSON Schemas of the topics in a schema registry."""

# ruff: noqa: PLC0415 - imports inside functions keep `campaigns --help` fast

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from cli.options import DryRun, Yes

if TYPE_CHECKING:
    from cli.confirmation import Consent
    from runtime.settings import Settings

EXIT_INCOMPATIBLE = 1

schemas = typer.Typer(help="Manage the schemas of the topics in a schema registry.", no_args_is_help=True)


@schemas.callback()
def _schemas() -> None:
    """Manage the schemas of the topics in a schema registry."""


@schemas.command("register")
def register(yes: Yes = False, dry_run: DryRun = False) -> None:
    """Register the JSON Schema of each topic, if the registry finds it compatible; running it again is safe."""
    from cli.confirmation import Consent
    from cli.console import run_command

    consent = Consent(yes, dry_run)
    raise typer.Exit(run_command(lambda settings: register_schemas(settings, consent)))


def register_schemas(settings: Settings, consent: Consent) -> int:
    """Register every schema that the registry lacks, or none if one is incompatible. Raises Transient."""
    from cli.confirmation import decline
    from cli.console import note, printable
    from runtime.process import EXIT_OK, EXIT_USAGE
    from runtime.schema_registry import RegistryRefused, SchemaRegistry, SubjectState

    if not settings.schema_registry_url:
        note("Nothing was registered: CAMPAIGNS_SCHEMA_REGISTRY_URL is not set.")
        return EXIT_USAGE
    try:
        with SchemaRegistry(settings) as registry:
            found = list(registry.compare())
            wrong = [each.name for each in found if each.state is SubjectState.INCOMPATIBLE]
            if wrong:
                note(printable(
                    f"Nothing was registered: readers with the latest schema of {', '.join(wrong)} could not read the "
                    "records of this version. Update these readers, delete the subject or lower its compatibility, and "
                    "run the command again."
                ))  # fmt: skip
                return EXIT_INCOMPATIBLE
            missing = [each for each in found if each.state is not SubjectState.PRESENT]
            if missing:
                lines = [f"{each.name} ({each.state})" for each in missing]
                change = "\n  ".join([f"register {len(missing)} schema(s):", *lines])
                if (ending := decline(consent, change)) is not None:
                    return ending
            for each in missing:
                registry.register(each)
                note(printable(f"registered {each.name}"))
            if not missing:
                note("nothing to do: the registry has every schema")
    except RegistryRefused as refused:
        note(printable(f"not registered: {refused}"))
        return EXIT_USAGE
    return EXIT_OK
