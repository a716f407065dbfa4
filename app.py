"""The application: create_app() is the list of what it is made of, in the order in which it is put together."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from flask import Flask
from jinja2 import StrictUndefined
from werkzeug.middleware.proxy_fix import ProxyFix

import cli
import extensions
from blueprints import ALL, access, again, answers, assets, pages
from blueprints.bodies import BoundedRequest
from config import MEGABYTE, BadSetting, Settings, read_settings
from gateways import databases

HERE = Path(__file__).parent


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application for the settings, or those of the environment; raises BadSetting or RuntimeError."""
    settings = settings or read_settings(os.environ)
    app = Flask(__name__, static_folder=None)
    app.request_class = BoundedRequest
    app.config.update(configuration(settings))
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    extensions.init(app, settings)
    assets.init(app, HERE / "static")
    access.init(app)
    answers.init(app)
    pages.init(app)
    for blueprint in ALL:
        app.register_blueprint(blueprint)
    cli.init(app)
    access.check_marks(app)
    again.init(app)
    return app


def configuration(settings: Settings) -> dict[str, object]:
    """Return what Flask and its extensions are told."""
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": databases.options(settings.database_url, settings.web_threads),
        "TRUSTED_HOSTS": sorted(settings.hosts),
        "MAX_CONTENT_LENGTH": settings.files_per_message * settings.file_megabytes * MEGABYTE + 4 * MEGABYTE,
        # 65,536 characters of four bytes each, written as %XX: the longest form that is still valid.
        "MAX_FORM_MEMORY_SIZE": 2 * MEGABYTE,
        "SESSION_COOKIE_NAME": "__Host-help-center" if settings.secure else "help-center",
        "SESSION_COOKIE_SECURE": settings.secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": timedelta(days=settings.session_days),
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_TIME_LIMIT": None,
        "WTF_CSRF_SSL_STRICT": False,
        "PREFERRED_URL_SCHEME": "https" if settings.secure else "http",
    }


def served() -> Flask:
    """Return the application for a server; a bad setting ends the process with its name."""
    try:
        return create_app()
    except BadSetting as mistake:
        sys.exit(f"Bad setting. {mistake}")
