"""The table of codes compared with Meta's published list (see the docs): each code has the agreed class.

The letters are those of the list: T transient, R throttle, D held back, P permanent, C request and so on.
"""

import pytest

from domain.error_codes import TABLE, ErrorClass

PUBLISHED = {
    "ACC": "0 3 10 104 190 200 299 368 131005 131031 131042 131044 131063 131064 134011",
    "R": "4 613 80007 80008 130429 131056",
    "T": "1 2 131000 131016 131057 133004 134101 2494100",
    "D": "131049",
    "P": "130403 130472 130497 131021 131026 131030 131050 137000",
    "NUM": "33 803 2500 131037 131045 131048 133010 133016",
    "TPL": "132001 132007 132015 132016 132068 132069 134102 134103",
    "C": (
        "100 130501 131008 131009 131014 131047 131051 131052 131053 131055 131061 131062 132000 132005 132008"
        " 132012 132018 134100 135000 133000 133005 133006 133008 133009 133015 1752041 2388012 2388019 2388039"
        " 2388040 2388047 2388072 2388073 2388091 2388093 2388103 2388293 2388299 2593107 2593108"
        " 200005 200006 200007"
    ),
}
LETTERS = {
    "ACC": ErrorClass.ACCOUNT,
    "R": ErrorClass.THROTTLE,
    "T": ErrorClass.TRANSIENT,
    "D": ErrorClass.HELD_BACK,
    "P": ErrorClass.PERMANENT,
    "NUM": ErrorClass.NUMBER,
    "TPL": ErrorClass.TEMPLATE,
    "C": ErrorClass.REQUEST,
}


@pytest.mark.parametrize("letter", sorted(PUBLISHED))
def test_every_published_code_has_the_agreed_class(letter: str) -> None:
    codes = [int(code) for code in PUBLISHED[letter].split()]
    assert {code: TABLE[code].error_class for code in codes} == dict.fromkeys(codes, LETTERS[letter])


def test_the_table_contains_published_codes_only() -> None:
    published = {int(code) for codes in PUBLISHED.values() for code in codes.split()} | set(range(200, 300))
    assert set(TABLE) == published


def test_http_500_does_not_make_a_code_retryable() -> None:
    assert TABLE[3].http == TABLE[131045].http == 500
    assert {TABLE[3].error_class, TABLE[131045].error_class} == {ErrorClass.ACCOUNT, ErrorClass.NUMBER}
