"""What the tables are made of: their common place, and the columns that most of them have."""

from sqlalchemy import BigInteger, Boolean, Column, MetaData, String

from libs.db.column_types import Sentence

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)


def key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def text(name: str) -> Column[str]:
    return Column(name, Sentence, nullable=False)


def number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)
