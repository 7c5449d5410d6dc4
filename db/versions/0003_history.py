"""History of load and health."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def packed() -> sa.types.TypeEngine:
    return sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")


def number() -> sa.types.TypeEngine:
    return sa.BigInteger().with_variant(sa.Integer, "sqlite")


def key(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "history_series",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.UniqueConstraint("kind", "name", name="uq_history_series"),
        **MYSQL,
    )
    op.create_table(
        "history_open",
        key("series_id", sa.Integer()),
        key("at_ms", sa.BigInteger()),
        sa.Column("reading", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
        **MYSQL,
    )
    op.create_table(
        "history_chunks",
        key("series_id", sa.Integer()),
        key("level", sa.SmallInteger()),
        key("start", sa.BigInteger()),
        sa.Column("packed", packed(), nullable=False),
        **MYSQL,
    )
    op.create_index("ix_history_chunks_age", "history_chunks", ["level", "start"])
    op.create_table(
        "history_rollups",
        key("series_id", sa.Integer()),
        key("level", sa.SmallInteger()),
        key("start", sa.BigInteger()),
        sa.Column("stats", sa.LargeBinary, nullable=False),
        sa.Column("sketches", sa.LargeBinary, nullable=False),
        **MYSQL,
    )
    op.create_index("ix_history_rollups_age", "history_rollups", ["level", "start"])
    op.create_table(
        "health_intervals",
        sa.Column("id", number(), primary_key=True, autoincrement=True),
        sa.Column("server_name", sa.String(128), nullable=False),
        sa.Column("site", sa.String(128), nullable=False),
        sa.Column("health", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("began_at", moment(), nullable=False),
        sa.Column("ended_at", moment()),
        **MYSQL,
    )
    op.create_index(
        "ix_health_intervals_server", "health_intervals", ["server_name", "ended_at"]
    )
    op.create_index("ix_health_intervals_ended", "health_intervals", ["ended_at"])
    op.create_table(
        "watches",
        sa.Column("id", number(), primary_key=True, autoincrement=True),
        sa.Column("site", sa.String(128), nullable=False),
        sa.Column("began_at", moment(), nullable=False),
        sa.Column("ended_at", moment(), nullable=False),
        **MYSQL,
    )
    op.create_index("ix_watches_site", "watches", ["site", "ended_at"])


def downgrade() -> None:
    for table in (
        "watches",
        "health_intervals",
        "history_rollups",
        "history_chunks",
        "history_open",
        "history_series",
    ):
        op.drop_table(table)
