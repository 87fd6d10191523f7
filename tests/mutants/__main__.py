"""Runs the mutations and prints those that no test notices.

python -m tests.mutants [--only domain|listed] [--match TEXT]

`domain` lets mutmut change each function of domain/ and runs the unit and property tests of domain/. It prints the
survivors that `explained.toml` does not explain. `listed` applies the changes of `mutations.toml` to SQL, streams and
sinks, where a mutation tool does not reach, one at a time. Both work on a copy of the tree. The listed mutations share
one Kafka and one Postgres, and each test has its own topics and database. The exit code is 1 if a listed mutation
survives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from stack.embedded import embedded_stack
from tests.conftest import GIVEN_DATABASE, GIVEN_KAFKA
from tests.mutants.copies import copy_tree
from tests.mutants.domain import survivors_in_domain
from tests.mutants.explained import read_explanations, unexplained
from tests.mutants.listed import LISTED, Outcome, failing_tests, read_mutations, try_mutation


def main() -> int:
    """Run, and print the survivors."""
    arguments = argparse.ArgumentParser(prog="mutants", description=__doc__)
    arguments.add_argument("--only", choices=("domain", "listed"))
    arguments.add_argument("--match", default="", help="run the listed mutations with this text in place or effect")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        copy = copy_tree(Path(name) / "tree")
        survived = 0 if chosen.only == "domain" else _run_listed(copy, chosen.match)
        if chosen.only != "listed":
            _run_domain(copy)
    return 1 if survived else 0


def _run_listed(copy: Path, match: str) -> int:
    mutations = [each for each in read_mutations(LISTED) if match in each.where or match in each.effect]
    survived = 0
    with embedded_stack() as stack:
        servers = {GIVEN_KAFKA: stack.kafka_bootstrap_servers, GIVEN_DATABASE: stack.database_url}
        if failing := failing_tests(copy, mutations, servers):
            sys.exit(f"tests fail without a mutation; correct them first:\n{failing}")
        for number, mutation in enumerate(mutations, 1):
            outcome = try_mutation(copy, mutation, servers)
            survived += outcome is not Outcome.NOTICED
            print(f"{number}/{len(mutations)} {outcome.value}: {mutation.where}: {mutation.effect}", flush=True)
    print(f"listed: {len(mutations)} mutations, {survived} survived", flush=True)
    return survived


def _run_domain(copy: Path) -> None:
    summary, survivors = survivors_in_domain(copy)
    open_ones, idle = unexplained(survivors, read_explanations())
    for survivor in open_ones:
        print(survivor, flush=True)
    for each in idle:
        print(f"explained.toml explains nothing: {each.module}: {each.before}", flush=True)
    print(f"domain: {summary}; {len(open_ones)} of the survivors are not explained", flush=True)


if __name__ == "__main__":
    sys.exit(main())
