"""Settings: one frozen dataclass read from the environment, each name documented here and in docs/configuration.md."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateways.webhooks import key_of, public_url

HTMX_VERSION = "2.0.11"
HTMX_CDN = f"https://cdn.jsdelivr.net/npm/htmx.org@{HTMX_VERSION}/dist/htmx.min.js"
HTMX_HASH = "sha384-2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class BadSetting(Exception):  # noqa: N818
    """A setting has a value that cannot be used; the text names the setting."""


def _text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("use one line of plain text")
    return value


def _host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?|[0-9A-Fa-f:]{2,39}", value):
        raise ValueError("use a host name or an address, such as 127.0.0.1")
    return value


def _hosts(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    if not all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", name) for name in names):
        raise ValueError("use host names separated by commas, such as support.example.com,help.example.com")
    return value


def _flag(value: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if value.lower() not in words:
        raise ValueError("use 1 or 0")
    return words[value.lower()]


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", value) or not least <= int(value) <= most:
            raise ValueError(f"use a whole number from {least} to {most}")
        return int(value)

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(f"use one of {', '.join(words)}")
        return value

    return read


def _base_url(value: str) -> str:
    wrong = "use the address that people type, such as https://support.example.com"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(wrong) from None
    strange = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc or port == 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or strange:
        raise ValueError(wrong)
    if not re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:]+", parts.hostname):
        raise ValueError(wrong)
    return f"{parts.scheme}://{parts.netloc}"


def _endpoint(value: str) -> str:
    try:
        return _base_url(value)
    except ValueError:
        raise ValueError("use the store's address without a path, such as https://s3.example.com") from None


def _webhook_secret(value: str) -> str:
    key_of(value)
    return value


def _stripe_api(value: str) -> str:
    found = _base_url(value)
    if urlsplit(found).hostname not in LOOPBACK:
        raise ValueError("only a double on this machine may stand in for Stripe, such as http://127.0.0.1:8420")
    return found


def _database(value: str) -> str:
    path = value.removeprefix("sqlite:///")
    if path != value:
        if not path or path.startswith(":") or "?" in path:
            raise ValueError("after sqlite:/// write the path of a file")
        if not Path(path).parent.is_dir():
            raise ValueError(f"the folder {Path(path).parent} does not exist")
        return value
    wrong = (
        "use sqlite:///<path>, postgresql://<user>:<password>@<host>/<database> or mysql+pymysql://… (TiDB, MariaDB)"
    )
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (it is checked when it is read)
    except ValueError:
        raise ValueError(wrong) from None
    if parts.scheme not in {"postgresql", "mysql+pymysql"} or not parts.path.strip("/"):
        raise ValueError(wrong)
    return value


def _bucket(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        raise ValueError("use the bucket's name: 3 to 63 small letters, digits, dots and hyphens")
    return value


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", value) or len(value) > 200:
        raise ValueError("use letters, digits and hyphens, with / between folders only, such as portal/files")
    return value


def _scanner(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value.startswith("/") and value.isprintable():
        return value
    if not (re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536):
        raise ValueError("use host:port, such as 127.0.0.1:3310, or the path of clamd's socket")
    _host(host.removeprefix("[").removesuffix("]"))
    return value


def _mail(value: str) -> str:
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", value):
        raise ValueError("use an address such as support@example.com")
    return value


def _setting(default: Any, read: Callable[[str], Any], help_text: str) -> Any:  # noqa: ANN401 (dataclass fields)
    return field(default=default, metadata={"read": read, "help": help_text})


MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside. A name here in capitals is the environment variable's."""

    host: str = _setting("127.0.0.1", _host, "Address to listen on.")
    port: int = _setting(8000, _number(1, 65535), "Port to listen on.")
    base_url: str = _setting("", _base_url, "The address people use. Default: http://<HOST>:<PORT>.")
    allowed_hosts: str = _setting("", _hosts, "More host names to answer to, separated by commas, beside BASE_URL's.")
    trusted_proxies: int = _setting(0, _number(0, 5), "How many proxies of yours stand in front and set X-Forwarded-*.")
    data_folder: str = _setting("data", _text, "Folder for the secret, the SQLite database and attachments.")
    database_url: str = _setting(
        "",
        _database,
        "Database: sqlite:///<path>, postgresql://<user>:<password>@<host>/<name>, or mysql+pymysql://… for TiDB and "
        "MariaDB. Default: sqlite:///<DATA_FOLDER>/help-center.sqlite.",
    )
    secret_key: str = _setting("", _text, "Signs cookies; 32 characters or more. Default: made once in DATA_FOLDER.")
    demo: bool = _setting(False, _flag, "1 fills the demo world and shows its accounts. Never on a public address.")
    web_workers: int = _setting(2, _number(1, 64), "Web processes.")
    web_threads: int = _setting(4, _number(1, 64), "Threads in each web process.")
    drain_seconds: int = _setting(
        0,
        _number(0, 120),
        "Seconds that a web server told to stop (SIGTERM) serves on, while /readyz says 503 to a load balancer.",
    )
    htmx_source: str = _setting(
        "cdn", _one_of("cdn", "self"), "Where browsers get htmx: cdn, or self without internet."
    )
    mail_from: str = _setting("support@localhost.localdomain", _mail, "Sender of all mail.")
    mail_replies: str = _setting("", _mail, "Where answers go, with +TOKEN, for `flask mail-in`. Empty: none are read.")
    site_name: str = _setting("Help Center", _text, "Name of the portal in mail.")
    smtp_host: str = _setting("", _host, "Mail server. Empty: mail goes to DATA_FOLDER/mail (demo) or waits (real).")
    smtp_port: int = _setting(25, _number(1, 65535), "Mail server's port.")
    smtp_username: str = _setting("", _text, "Mail account; empty for none.")
    smtp_password: str = _setting("", _text, "Mail account's password.")
    smtp_security: str = _setting("starttls", _one_of("none", "starttls", "tls"), "How the mail connection is secured.")
    smtp_timeout: int = _setting(20, _number(1, 30), "Seconds to wait for the mail server.")
    payments: str = _setting(
        "",
        _one_of("none", "sandbox", "stripe"),
        "How plans are paid by card: none; sandbox, which takes test cards and moves no money; or stripe. Default: "
        "sandbox in the demo, else none.",
    )
    stripe_secret_key: str = _setting("", _text, "Stripe's secret key (sk_… or rk_…), for PAYMENTS=stripe.")
    stripe_publishable_key: str = _setting("", _text, "Stripe's publishable key (pk_…) of the same account and mode.")
    stripe_webhook_secret: str = _setting(
        "", _text, "The signing secret (whsec_…) of the webhook endpoint <BASE_URL>/hooks/stripe."
    )
    stripe_api: str = _setting("", _stripe_api, "Address of a double of Stripe's API, for tests. Empty: Stripe's own.")
    undo_seconds: int = _setting(
        15, _number(0, 120), "Seconds in which an agent can undo a reply, before customers see it and get mail."
    )
    session_idle_hours: int = _setting(24, _number(1, 720), "A sign-in unused for so long ends.")
    remind_days: int = _setting(
        3, _number(1, 365), "Days for which a customer is silent before the first reminder of our question."
    )
    remind_again_days: int = _setting(7, _number(2, 365), "Days before the second one.")
    resolve_silent_days: int = _setting(
        14, _number(3, 730), "Days before a request whose customer stays silent counts as resolved."
    )
    on_time_goal: int = _setting(95, _number(1, 100), "The share of first replies on time that reports aim at, in %.")
    session_days: int = _setting(14, _number(1, 90), "A sign-in ends after so many days in any case.")
    file_megabytes: int = _setting(25, _number(1, 1024), "Largest attachment.")
    files_per_message: int = _setting(10, _number(1, 50), "Most attachments of one message.")
    ticket_megabytes: int = _setting(100, _number(1, 10240), "Most attachments of one ticket, together.")
    organization_megabytes: int = _setting(
        10240, _number(1, 10485760), "Most attachments of one organization, together."
    )
    files: str = _setting("local", _one_of("local", "s3"), "Where attachments are kept: DATA_FOLDER/files, or S3.")
    s3_bucket: str = _setting("", _bucket, "The bucket, for FILES=s3.")
    s3_region: str = _setting("us-east-1", _host, "The bucket's region.")
    s3_endpoint: str = _setting("", _endpoint, "Address of a store that speaks S3. Empty: Amazon's, of S3_REGION.")
    s3_prefix: str = _setting("", _prefix, "What the names in the bucket begin with, such as portal/files.")
    s3_access_key_id: str = _setting("", _text, "The key that may list, read, write and delete there.")
    s3_secret_access_key: str = _setting("", _text, "The key's secret.")
    s3_timeout: int = _setting(8, _number(1, 60), "Seconds to wait for the bucket.")
    clamd: str = _setting(
        "", _scanner, "ClamAV's clamd, as host:port or path of its socket. Empty: nothing is scanned."
    )
    clamd_timeout: int = _setting(30, _number(1, 120), "Seconds in which a file must be scanned.")
    webhook_url: str = _setting("", public_url, "Where on-call alerts go as Standard Webhooks beside mail: https.")
    webhook_secret: str = _setting("", _webhook_secret, "Signs webhooks: whsec_ and 24 to 64 bytes in base64.")
    argon2_memory_kib: int = _setting(19456, _number(8, 1048576), "Memory for hashing one password (OWASP's figure).")
    argon2_rounds: int = _setting(2, _number(1, 20), "Rounds for hashing one password.")

    @property
    def secure(self) -> bool:
        """Whether people reach the portal by https, so that cookies may be marked Secure."""
        return self.base_url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """The host names (without port) that the portal answers to."""
        own = {urlsplit(self.base_url).hostname or ""} | {h.strip().lower() for h in self.allowed_hosts.split(",")}
        return frozenset((own | LOOPBACK if not self.secure else own) - {""})

    @property
    def data(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.data_folder).resolve()

    @property
    def draining(self) -> Path:
        """The file that is there while this web server is about to stop: no two of them share a port."""
        return self.data / f"draining.{self.port}"

    @property
    def htmx_hash(self) -> str:
        """What browsers check the file of the CDN against; empty when the portal serves its own copy."""
        return HTMX_HASH if self.htmx_source == "cdn" else ""

    @property
    def htmx_file(self) -> str:
        """The name of the portal's own copy among its static files."""
        return f"vendor/htmx-{HTMX_VERSION}.min.js"

    @property
    def htmx_address(self) -> str:
        """The address browsers load htmx from; empty when the portal serves its own copy."""
        return HTMX_CDN if self.htmx_source == "cdn" else ""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings that the environment asks for; raises BadSetting naming the first bad one."""
    values: dict[str, Any] = {}
    for item in fields(Settings):
        name = item.name.upper()
        given = environment.get(name, "").strip()
        if not given:
            continue
        try:
            values[item.name] = item.metadata["read"](given)
        except ValueError as error:
            # No secret belongs into a log: neither one of its own nor the password in a database's address.
            secret = re.search("SECRET|PASSWORD|_KEY", name)
            shown = "" if secret else f" (it is {re.sub('://[^@]*@', '://…@', given)!r})"
            raise BadSetting(f"{name}: {error}{shown}.") from None
    return _completed(Settings(**values))


def _completed(settings: Settings) -> Settings:
    """Fill what follows from other settings, and refuse combinations that are not safe."""
    changes: dict[str, Any] = {}
    if not settings.base_url:
        host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 (compared only)
        changes["base_url"] = f"http://{'[' + host + ']' if ':' in host else host}:{settings.port}"
    base = urlsplit(str(changes.get("base_url", settings.base_url)))
    if base.scheme == "http" and base.hostname not in LOOPBACK:
        raise BadSetting(
            f"BASE_URL: sign-in cookies need https on any address but this machine's own (it is {base.geturl()!r})."
        )
    if not settings.payments:
        changes["payments"] = "sandbox" if settings.demo else "none"
    if not settings.database_url:
        changes["database_url"] = f"sqlite:///{settings.data / 'help-center.sqlite'}"
    if settings.secret_key and len(settings.secret_key) < 32:
        raise BadSetting("SECRET_KEY: use 32 characters or more.")
    if settings.demo and (settings.secure or settings.host not in LOOPBACK):
        raise BadSetting("DEMO: the demo's passwords are public, so it runs only on HOST 127.0.0.1 and without https.")
    if not settings.remind_days < settings.remind_again_days < settings.resolve_silent_days:
        raise BadSetting("REMIND_AGAIN_DAYS: must be more than REMIND_DAYS and less than RESOLVE_SILENT_DAYS.")
    _check_files(settings)
    _check_stripe(settings)
    if bool(settings.webhook_url) != bool(settings.webhook_secret):
        missing = "WEBHOOK_SECRET" if settings.webhook_url else "WEBHOOK_URL"
        raise BadSetting(f"{missing}: WEBHOOK_URL and WEBHOOK_SECRET are set together.")
    _make(settings.data)
    if not settings.secret_key:
        changes["secret_key"] = _kept_secret(settings.data)
    return Settings(**{**{f.name: getattr(settings, f.name) for f in fields(settings)}, **changes})


def _check_files(settings: Settings) -> None:
    """Refuse limits that contradict each other, and FILES=s3 with something missing, by its name."""
    if settings.ticket_megabytes < settings.file_megabytes:
        raise BadSetting("TICKET_MEGABYTES: must not be smaller than FILE_MEGABYTES.")
    if settings.organization_megabytes < settings.ticket_megabytes:
        raise BadSetting("ORGANIZATION_MEGABYTES: must not be smaller than TICKET_MEGABYTES.")
    if settings.files != "s3":
        return
    for name in ("s3_bucket", "s3_access_key_id", "s3_secret_access_key"):
        if not getattr(settings, name):
            raise BadSetting(f"{name.upper()}: FILES=s3 needs it.")


_STRIPE_KEYS = {
    "stripe_secret_key": r"(?:sk|rk)_(test|live)_\w{4,}",
    "stripe_publishable_key": r"pk_(test|live)_\w{4,}",
    "stripe_webhook_secret": r"whsec_[\w+/=-]{4,}",
}


def _check_stripe(settings: Settings) -> None:
    """Refuse PAYMENTS=stripe with a key missing, of the wrong kind, or of another mode than the other, by its name."""
    if settings.payments != "stripe":
        return
    modes: list[str] = []
    for name, pattern in _STRIPE_KEYS.items():
        if not (given := getattr(settings, name)):
            raise BadSetting(f"{name.upper()}: PAYMENTS=stripe needs it.")
        if (found := re.fullmatch(pattern, given, re.ASCII)) is None:
            starts = pattern.partition("_")[0].replace("(?:sk|rk)", "sk_ or rk") + "_"
            raise BadSetting(f"{name.upper()}: such a key starts with {starts}.")
        modes += found.groups()
    if len(set(modes)) > 1:
        raise BadSetting("STRIPE_PUBLISHABLE_KEY: it is for another mode (test, live) than STRIPE_SECRET_KEY.")
    if settings.demo and "live" in modes:
        raise BadSetting("STRIPE_SECRET_KEY: the demo's passwords are public, so it takes keys of the test mode only.")


def _make(folder: Path) -> None:
    """Make the data folder, readable by this account alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSetting(f"DATA_FOLDER: {folder} cannot be used ({error.strerror}).") from None


def _kept_secret(folder: Path) -> str:
    """Return the secret kept in the data folder, making it on the first start (two starts at once agree on one)."""
    path = folder / "secret"
    try:
        if not path.exists():
            fresh = folder / f"secret.{secrets.token_hex(4)}"
            fresh.touch(mode=0o600)
            fresh.write_text(secrets.token_hex(32))
            try:
                path.hardlink_to(fresh)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        kept = path.read_text().strip()
    except OSError as error:
        raise BadSetting(f"DATA_FOLDER: {folder} cannot be used ({error.strerror}).") from None
    if len(kept) < 32:
        raise BadSetting(f"SECRET_KEY: {path} does not hold a secret; delete it to have a new one made.")
    return kept
