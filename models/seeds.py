"""stub."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.outside import FileStore
from models.people import Passwords, Person


def empty(session: Session) -> None: ...
def found(session: Session) -> None: ...
def is_empty(session: Session) -> bool:
    return session.scalar(select(Person.id).limit(1)) is None


def plant(session: Session, passwords: Passwords, files: FileStore, *, now: datetime) -> None: ...
