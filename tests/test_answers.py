"""What surrounds every answer: headers, cookies, compression, and who may send what from where."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from conftest import SignIn
from factories import LUMEN, Town
from flask import Flask
from page import ORIGIN, Browser
from sqlalchemy import select

from models.demo import PASSWORD
from models.drafts import HeldText
from models.tickets import Comment

TEXT = 'Typed for an hour: <b>& "quotes" ’ 漢字, and so much more'
ELSEWHERE = [
    "//evil.example", "/\\evil.example", "\\/evil.example", "https:evil.example", "https://evil.example",
    "///evil.example", "/\t/evil.example", "\t//evil.example", " //evil.example", "javascript:alert(1)",
    "/%0d%0aSet-Cookie:x=1\r\nX: y",
    "http:\\\\evil.example", "//evil.example@localhost", "data:text/html,x", "/\x00/evil.example",
]  # fmt: skip


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


def test_a_page_carries_the_headers_that_keep_it_to_itself(lumen: Browser) -> None:
    headers = lumen.get("/requests").headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Cookie" in headers["Vary"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/no-such-page", {}, 404), ("/requests", {}, 405), ("/sign-in", {"Origin": "https://evil.example"}, 403)],
)
def test_a_body_that_nobody_wants_is_read_so_that_its_connection_can_go_on(
    client: Browser, path: str, headers: dict[str, str], status: int
) -> None:
    short, long = io.BytesIO(b"x" * 60_000), io.BytesIO(b"x" * 200_000)
    for body, left in ((short, b""), (long, b"x")):
        length = len(body.getvalue())
        answer = client.client.post(
            path,
            base_url=ORIGIN,
            input_stream=body,
            headers=headers | {"Content-Length": str(length)},
            content_type="text/plain",
        )
        assert answer.status_code == status
        assert body.read(1) == left, "of what is long nothing is read"


def test_https_brings_hsts_and_cookies_that_only_this_host_gets(app_with: Callable[..., Flask]) -> None:
    secure = app_with(BASE_URL="https://support.example.com", DEMO="0").test_client()
    answer = secure.get("/sign-in", base_url="https://support.example.com")
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-")
    for part in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert part in cookie, cookie
    assert "Domain" not in cookie
    assert secure.get("/sign-in", base_url="https://localhost").status_code == 400


def test_the_cookie_of_a_sign_in_is_for_no_script(town: Town, client: Browser) -> None:
    client.get("/sign-in")
    answer = client.client.post(
        "/sign-in",
        base_url=ORIGIN,
        data={"csrf_token": client.token(), "email": "owner@lumen.example", "password": PASSWORD},
    )
    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_a_host_that_is_not_ours_is_refused(app: Flask, town: Town, host: str) -> None:
    answer = app.test_client().get("/sign-in", headers={"Host": host})
    assert answer.status_code == 400
    assert "evil" not in answer.get_data(as_text=True)


def test_nobody_is_believed_about_proxies_and_sign_ins(lumen: Browser, client: Browser) -> None:
    forged = {
        "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
        "X-Real-IP": "203.0.113.9", "X-Remote-User": "admin@support.example", "Remote-User": "admin@support.example",
        "X-Forwarded-User": "admin@support.example", "X-Forwarded-Prefix": "/evil", "X-HTTP-Method-Override": "POST",
        "X-Original-URL": "/admin",
    }  # fmt: skip
    page = client.get("/requests", follow=False, status=303, headers=forged)
    assert page.headers["Location"] == "/sign-in?next=/requests"
    assert lumen.get("/admin", status=403, headers=forged).status == 403
    assert "evil" not in lumen.get("/requests", headers=forged).html
    lumen.client.post("/sign-out", base_url=ORIGIN, headers=forged)
    assert "203.0.113.9" not in lumen.get("/profile/sessions", status=None).html


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example", "HX-Request": "true", "HX-Current-URL": ORIGIN},
    ],
)
def test_a_post_from_another_site_is_refused_even_with_a_good_token(
    lumen: Browser, town: Town, headers: dict[str, str]
) -> None:
    lumen.get("/profile")
    before = town.person("owner@lumen.example").name
    given = {"csrf_token": lumen.token(), "name": "Mallory", "time_zone": "UTC", "theme": "dark", "page_size": "25"}
    answer = lumen.client.post("/profile", base_url=ORIGIN, data=given, headers=headers)
    assert answer.status_code == 403
    assert town.person("owner@lumen.example").name == before


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_a_post_without_its_token_is_refused_and_gives_the_text_back(lumen: Browser, town: Town, token: str) -> None:
    key = town.file()
    given = {"body": TEXT, "key": "k" * 20} | ({"csrf_token": token} if token else {})
    answer = lumen.post(f"/requests/{key}/comments", given, token="")
    assert answer.status == 400
    assert "expired" in answer.main
    assert town.count(Comment) == 1
    again = lumen.submit(f"/requests/{key}/comments")
    assert "漢字" in again.main
    assert town.count(Comment) == 2
    assert town.scalars(select(Comment.source).order_by(Comment.id))[-1] == TEXT


def test_another_browsers_token_is_worth_nothing(lumen: Browser, client: Browser, town: Town) -> None:
    client.get("/sign-in")
    key = town.file()
    answer = lumen.post(f"/requests/{key}/comments", {"body": TEXT}, token=client.token())
    assert answer.status == 400
    assert town.count(Comment) == 1


def test_static_files_are_kept_for_a_year_and_found_by_their_fingerprint_alone(client: Browser, empty: Town) -> None:
    page = client.get("/sign-in")
    style = page.all("link", rel="stylesheet")[0].get("href")
    answer = client.client.get(style, base_url=ORIGIN)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.content_type == "text/css; charset=utf-8"
    assert "Set-Cookie" not in answer.headers
    packed = client.client.get(style, base_url=ORIGIN, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == answer.data
    mark = style.split("/")[2]
    for wrong in (style.replace(mark, "0" * 12), f"/static/{mark}/../app.py", f"/static/{mark}/%2e%2e/app.py"):
        assert client.client.get(wrong, base_url=ORIGIN).status_code == 404, wrong


def test_pages_are_compressed_for_those_who_can_read_it(lumen: Browser) -> None:
    plain = lumen.client.get("/requests", base_url=ORIGIN)
    packed = lumen.client.get("/requests", base_url=ORIGIN, headers={"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert b"<h1>Requests</h1>" in gzip.decompress(packed.data)
    assert int(packed.headers["Content-Length"]) < len(plain.data) / 2
    assert {"Cookie", "Accept-Encoding"} <= {
        part.strip() for part in ",".join(packed.headers.getlist("Vary")).split(",")
    }


@pytest.mark.parametrize("where", ELSEWHERE)
def test_nobody_is_led_to_another_site_after_signing_in(town: Town, client: Browser, where: str) -> None:
    page = client.get("/sign-in?next=" + _quoted(where))
    assert page.forms[0].value_of("next") == "/"
    answer = client.post("/sign-in", {"email": "owner@lumen.example", "password": PASSWORD, "next": where})
    assert answer.status == 303
    assert answer.headers["Location"] == "/"
    signed_in = client.get("/sign-in?next=" + _quoted(where), follow=False, status=302)
    assert signed_in.headers["Location"] == "/"


def _quoted(where: str) -> str:
    return quote(where, safe="")


def test_signing_in_leads_back_to_where_somebody_was(town: Town, client: Browser) -> None:
    client.get("/requests?status=all&q=a%26b")
    page = client.submit("/sign-in", email="owner@lumen.example", password=PASSWORD)
    assert page.path == "/requests?status=all&q=a%26b"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_text_that_was_sent_too_late_waits_for_its_writer_and_nobody_else(
    lumen: Browser, town: Town, sign_in: SignIn, htmx: bool
) -> None:
    key = town.file()
    page = lumen.get(f"/requests/{key}")
    other = sign_in("owner@lumen.example")
    other.get("/profile/sessions")
    other.submit("/profile/sessions/end-others")
    form, button = page.find(f"/requests/{key}/comments")
    headers = {"HX-Request": "true"} if htmx else {}
    answer = lumen.post(form.action, form.entries(button, {"body": TEXT}), token="", multipart=True, headers=headers)
    if htmx:
        assert (answer.status, answer.body) == (204, b"")
        way = answer.headers["HX-Redirect"]
    else:
        assert answer.status == 303
        way = answer.headers["Location"]
    assert way == f"/sign-in?next=/requests/{key}"
    assert town.count(Comment) == 1
    assert "Your text is kept" in lumen.get(way).main
    back = lumen.submit("/sign-in", email="owner@lumen.example", password=PASSWORD)
    assert back.find(f"/requests/{key}/comments")[0].value_of("body").replace("\r\n", "\n").strip() == TEXT
    assert "Typed for an hour" in lumen.submit(f"/requests/{key}/comments").main
    assert town.count(Comment) == 2
    assert TEXT not in back.headers.get("Location", "")
    assert town.count(HeldText) == 0


def test_a_held_text_is_not_given_to_the_next_person_at_the_same_computer(lumen: Browser, town: Town) -> None:
    key = town.file()
    lumen.get(f"/requests/{key}")
    lumen.submit("/sign-out")
    lumen.post(f"/requests/{key}/comments", {"body": TEXT})
    lumen.get(f"/sign-in?next=/requests/{key}")
    page = lumen.submit("/sign-in", email="billing@lumen.example", password=PASSWORD)
    assert page.path == f"/requests/{key}"
    assert "Typed for an hour" not in page.html


@pytest.mark.parametrize(
    "path", ["/requests/{}", "/requests/{}/print", "/requests/{}/severity", "/requests/{}/participants"]
)
def test_what_is_somebody_elses_answers_as_what_is_not_there(town: Town, sign_in: SignIn, path: str) -> None:
    key = town.file("owner@northwind.example", "northwind-bank", summary="zebra-marker")
    mallory = sign_in("owner@lumen.example")
    theirs = mallory.get(path.format(key), status=404)
    none = mallory.get(path.format(key[:-1] + ("1" if key[-1] != "1" else "2")), status=404)
    assert _without_token(theirs.html) == _without_token(none.html)
    assert "zebra" not in theirs.html


def test_somebody_elses_organization_answers_as_none(town: Town, sign_in: SignIn) -> None:
    mallory = sign_in("owner@northwind.example")
    for page in ("support", "clusters"):
        theirs = mallory.get(f"/console/{LUMEN}/{page}", status=404)
        none = mallory.get(f"/console/no-such-place/{page}", status=404)
        assert _without_token(theirs.html) == _without_token(none.html)


def _without_token(html: str) -> str:
    return re.sub(r'name="csrf_token" value="[^"]*"', "", html)


def test_head_and_options_are_answered_and_other_methods_refused(lumen: Browser) -> None:
    head = lumen.client.head("/requests", base_url=ORIGIN)
    assert (head.status_code, head.data) == (200, b"")
    options = lumen.client.options("/requests", base_url=ORIGIN)
    assert options.status_code == 200
    assert "Access-Control-Allow-Origin" not in options.headers
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        assert lumen.client.open("/requests", method=method, base_url=ORIGIN).status_code == 405, method
    assert set(lumen.get("/sign-out", status=405).headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_leaving_clears_what_the_browser_keeps(lumen: Browser) -> None:
    lumen.get("/profile")
    answer = lumen.post("/sign-out")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert lumen.get("/profile", follow=False, status=303).headers["Location"].startswith("/sign-in")
