"""What becomes of a campaign whose template was edited: the reason of a pause names the component."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.template_edits import REASON_CHARACTERS_MAX, TemplateFit, misfitting, refused, unread
from domain.template_fit import Finding, Misfit, find_faults, misfits_of
from schemas.reasons import ParameterMisfit, TemplateFault
from tests.support.templates import body, header, template

REFUSING = Finding(TemplateFault.PAUSED, "Its status is PAUSED.", refuses=True)
WARNING = Finding(TemplateFault.LOW_QUALITY, "Its quality is RED.", refuses=False)


def test_the_reason_names_the_component_and_how_many_people_it_is_about() -> None:
    found = misfitting(misfits_of(template(header("IMAGE"), body("Hi {{1}}")), ["Ana"]), 1234)
    assert found.fit is TemplateFit.MISFITS
    assert found.reason is not None
    assert "at least 1,234 waiting recipient(s)" in found.reason
    assert "template_parameters.header: The template has a header of the kind image" in found.reason


def test_a_template_that_meta_does_not_send_is_refused_with_the_first_refusing_fault() -> None:
    found = refused([WARNING, REFUSING])
    assert found is not None
    assert found.fit is TemplateFit.MISFITS
    assert found.reason == (
        "The template was edited. Its status is PAUSED. Wait for its approval, or correct it. Then resume the campaign."
    )
    pending = find_faults(
        [template(body("Hi"), status="PENDING")], "en_US", needs_marketing=False, takes_unlisted=False
    )
    assert refused(pending) is not None


def test_warnings_refuse_nothing() -> None:
    assert refused([]) is None
    assert refused([WARNING]) is None


@given(st.text(max_size=1000), st.text(min_size=1, max_size=1000), st.integers(1, 10_000_000))
def test_a_pause_has_a_reason_that_a_report_takes_and_that_ends_with_the_remedy(
    detail: str, field: str, recipients: int
) -> None:
    verdicts = [
        unread(detail),
        refused([Finding(TemplateFault.PAUSED, detail, refuses=True)]),
        misfitting([Misfit(ParameterMisfit.MISSING, field, detail)], recipients),
    ]
    for each in verdicts:
        assert each is not None
        assert each.fit is not TemplateFit.FITS
        assert each.reason is not None
        assert len(each.reason) <= REASON_CHARACTERS_MAX
        assert each.reason.startswith("The template was edited")
        assert each.reason.endswith("Then resume the campaign.")
