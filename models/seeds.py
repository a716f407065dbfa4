"""stub."""
from datetime import datetime
from sqlalchemy.orm import Session
from sqlalchemy import select
from models.people import Person, Passwords
from models.outside import FileStore
def empty(session: Session) -> None: ...
def found(session: Session) -> None: ...
def is_empty(session: Session) -> bool:
    return session.scalar(select(Person.id).limit(1)) is None
def plant(session: Session, passwords: Passwords, files: FileStore, *, now: datetime) -> None: ...
