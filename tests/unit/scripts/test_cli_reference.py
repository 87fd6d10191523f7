"""The page of the command line has every command of the parser, with its options and examples."""

from __future__ import annotations

import re

from cli.examples import EXAMPLES
from scripts.cli_reference import commands, lines

PAGE = "\n".join(lines())


def test_every_command_has_its_section_with_its_examples() -> None:
    sections = re.findall(r"^## `campaigns ([a-z -]+)`$", PAGE, re.MULTILINE)
    assert sorted(sections) == sorted(EXAMPLES)
    for name, command in commands().items():
        section = PAGE.partition(f"## `campaigns {name}`\n")[2].partition("\n## ")[0]
        assert all(f"\n{example}\n" in section for example in EXAMPLES[name])
        for parameter in command.params:
            if parameter.param_type_name == "option" and "--help" not in parameter.opts:
                assert parameter.opts[0] in section, (name, parameter.opts)


def test_limits_and_defaults_are_in_words() -> None:
    assert "Port of API and page; 0 = a free one [default: 8000; from 0 to 65535]" in PAGE
    assert "<=x<=" not in PAGE
