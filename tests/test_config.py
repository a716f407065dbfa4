"""Settings: what is bad is refused by name, and every one is documented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from flask import Flask

import extensions
from cli import configuration_page
from config import BadSetting, Settings, read_settings

SECRET = "0123456789abcdef0123456789abcdef"


def read(**given: str) -> Settings:
    return read_settings({"SECRET_KEY": SECRET, "DATA_FOLDER": "/nonexistent/help-center"} | given)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "８０００"),
        ("DEMO", "maybe"),
        ("WEB_WORKERS", "0"),
        ("WEB_THREADS", "65"),
        ("TRUSTED_PROXIES", "6"),
        ("HTMX_SOURCE", "elsewhere"),
        ("BASE_URL", "http://127.0.0.1:99999"),
        ("BASE_URL", "https://a:b@support.example.com"),
        ("BASE_URL", "https://exa mple.com"),
        ("HOST", "no host"),
        ("SMTP_HOST", "bad host"),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "a b,,c"),
        ("SITE_NAME", "Help\nCenter"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:////nowhere/at/all/x.sqlite"),
        ("MAIL_FROM", "nobody"),
        ("SMTP_SECURITY", "ssl"),
        ("SMTP_TIMEOUT", "31"),
        ("BASE_URL", "support.example.com"),
        ("BASE_URL", "https://support.example.com/portal"),
        ("BASE_URL", "http://support.example.com"),
        ("DATABASE_URL", "oracle://db/help"),
        ("DATABASE_URL", "postgresql://db"),
        ("DATABASE_URL", "mysql://db/help"),
        ("DATABASE_URL", "postgresql://db:port/help"),
        ("WEBHOOK_URL", "http://alerts.example.com"),
        ("WEBHOOK_URL", "https://127.0.0.1/x"),
        ("WEBHOOK_URL", "https://[::1]/x"),
        ("WEBHOOK_URL", "https://localhost/x"),
        ("WEBHOOK_SECRET", "short"),
        ("SECRET_KEY", "short"),
        ("SESSION_DAYS", "91"),
        ("ARGON2_MEMORY_KIB", "7"),
        ("FILES", "ftp"),
        ("S3_BUCKET", "My Bucket"),
        ("S3_ENDPOINT", "https://s3.example.com/bucket"),
        ("S3_PREFIX", "/files"),
        ("S3_PREFIX", "a//b"),
        ("S3_PREFIX", ".."),
        ("S3_REGION", "eu central"),
        ("S3_TIMEOUT", "0"),
        ("CLAMD", "clamd"),
        ("CLAMD", "127.0.0.1:99999"),
        ("CLAMD", "no host:3310"),
        ("CLAMD_TIMEOUT", "121"),
        ("ORGANIZATION_MEGABYTES", "0"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name}: "):
        read(**{name: value})


def test_the_demo_stays_on_this_machine() -> None:
    assert read(DEMO="1").demo
    for unsafe in ({"HOST": "0.0.0.0"}, {"BASE_URL": "https://support.example.com"}):  # noqa: S104
        with pytest.raises(BadSetting, match=r"^DEMO: "):
            read(DEMO="1", **unsafe)


def test_limits_that_contradict_each_other() -> None:
    with pytest.raises(BadSetting, match=r"^TICKET_MEGABYTES: "):
        read(FILE_MEGABYTES="50", TICKET_MEGABYTES="49")

    with pytest.raises(BadSetting, match=r"^ORGANIZATION_MEGABYTES: "):
        read(TICKET_MEGABYTES="100", ORGANIZATION_MEGABYTES="99")


S3 = {"FILES": "s3", "S3_BUCKET": "files", "S3_ACCESS_KEY_ID": "key", "S3_SECRET_ACCESS_KEY": "hush"}


@pytest.mark.parametrize("missing", ["S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"])
def test_a_bucket_needs_its_settings(missing: str) -> None:
    assert read(**S3).files == "s3"
    with pytest.raises(BadSetting, match=f"^{missing}: FILES=s3 needs it"):
        read(**{**S3, missing: ""})


def test_a_bucket_needs_its_package(app_with: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "find_spec", lambda _name: None)
    with pytest.raises(BadSetting, match=r"^FILES: s3 needs one more package: pip install .* requirements/s3\.txt"):
        app_with(**S3)


def test_a_secret_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match=r"^S3_SECRET_ACCESS_KEY: use one line of plain text\.$"):
        read(**{**S3, "S3_SECRET_ACCESS_KEY": "hu\nsh"})


@pytest.mark.parametrize("good", ["127.0.0.1:3310", "[::1]:3310", "clamav:3310", "/run/clamav/clamd.ctl", ""])
def test_a_scanner_is_found_by_port_or_socket(good: str) -> None:
    assert read(CLAMD=good).clamd == good


def test_an_empty_value_counts_as_none() -> None:
    assert read(PORT="", DEMO=" ") == read()


def test_defaults_follow_from_each_other() -> None:
    settings = read(PORT="8123")
    assert settings.base_url == "http://127.0.0.1:8123"
    assert settings.database_url == "sqlite:////nonexistent/help-center/help-center.sqlite"
    assert read(BASE_URL="https://support.example.com").hosts == {"support.example.com"}


def test_the_secret_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    first, second = (read_settings({"DATA_FOLDER": str(tmp_path / "data")}) for _ in range(2))
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) == 64
    assert (tmp_path / "data" / "secret").stat().st_mode & 0o077 == 0


def test_a_data_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"^DATA_FOLDER: "):
        read_settings({"DATA_FOLDER": str(tmp_path / "file")})


def test_the_documentation_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "configuration.md"
    assert page.read_text(encoding="utf-8") == configuration_page(), "Run `make docs`."
    assert all(f"| `{item.name.upper()}` |" in configuration_page() for item in fields(Settings))


def test_a_databases_password_is_not_told() -> None:
    with pytest.raises(BadSetting) as refused:
        read_settings({"DATABASE_URL": "oracle://desk:s3cret@db/help"})
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["postgresql://desk:s3cret@db:5432/help", "mysql+pymysql://root@tidb:4000/help"])
def test_a_server_is_taken_as_the_database(url: str, tmp_path: Path) -> None:
    assert read_settings({"DATA_FOLDER": str(tmp_path), "DATABASE_URL": url}).database_url == url


def test_a_webhook_has_an_address_and_a_secret() -> None:
    secret = "whsec_" + "QUJD" * 10
    assert read(WEBHOOK_URL="https://alerts.example.com/x", WEBHOOK_SECRET=secret).webhook_secret == secret
    with pytest.raises(BadSetting, match=r"^WEBHOOK_SECRET: "):
        read(WEBHOOK_URL="https://alerts.example.com/x")
    with pytest.raises(BadSetting, match=r"^WEBHOOK_URL: "):
        read(WEBHOOK_SECRET=secret)
