"""The paths of the page, and those to which a sign-in may lead."""

import pytest
from fastapi.routing import APIRoute

from api.pages import actions, clones, imports, people, routes, sign_in, test_sends, unknown
from api.pages.paths import HOME, SIGN_IN, form_page, is_open, is_page, own_path


@pytest.mark.parametrize("path", ["/", "/campaigns", "/campaigns/1/people", "/live", "/sign-in", "/static/page.css"])
def test_a_browser_loads_these(path: str) -> None:
    assert is_page(path)


@pytest.mark.parametrize("path", ["/api/marketing/campaigns", "/health", "/campaignsx", "/docs", "", "/lives"])
def test_programs_load_these(path: str) -> None:
    assert not is_page(path)


def test_each_form_is_on_a_page() -> None:
    modules = (actions, clones, imports, people, routes, sign_in, test_sends, unknown)
    all_routes = [route for module in modules for route in module.router.routes if isinstance(route, APIRoute)]
    found = [(route.path, route.methods or set()) for route in all_routes]
    shown = {path for path, methods in found if "GET" in methods}
    sent = {path for path, methods in found if "POST" in methods} - {SIGN_IN}
    assert len(sent) > 10
    assert {path for path in sent if form_page(path) not in shown | {HOME}} == set()


def test_only_the_sign_in_and_files_need_no_key() -> None:
    assert is_open("/sign-in")
    assert is_open("/static/page.css")
    assert not any(is_open(path) for path in ("/", "/campaigns", "/live", "/sign-out", "/sign-in/x", "/static"))


@pytest.mark.parametrize("path", ["/", "/campaigns/1", "/campaigns/1?status=failed&after=2", "/campaigns/new"])
def test_a_sign_in_leads_to_a_page(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "given",
    ["", "https://evil.example/", "//evil.example/campaigns/", "/\\evil.example", "/campaigns/\\evil", "/api/marketing",
     "/campaigns/1\r\nSet-Cookie: a=b", "/sign-in", "/static/page.css", "campaigns/1", "/campaigns/é", "javascript:1"],
)  # fmt: skip
def test_a_sign_in_leads_nowhere_else(given: str) -> None:
    assert own_path(given) == "/"
