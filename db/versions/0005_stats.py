"""What charts show of hours and days lies apart from what reports merge.

A chart of a month reads 720 hours of a server. Beside their sketches, which are
five times as large, those were spread over five times as many pages.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
KEY = "series_id, level, start"


def key(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def upgrade() -> None:
    op.create_table(
        "history_stats",
        key("series_id", sa.Integer()),
        key("level", sa.SmallInteger()),
        key("start", sa.BigInteger()),
        sa.Column("stats", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
        **MYSQL,
    )
    op.execute(
        f"INSERT INTO history_stats ({KEY}, stats) "
        f"SELECT {KEY}, stats FROM history_rollups ORDER BY {KEY}"
    )
    op.create_index("ix_history_stats_age", "history_stats", ["level", "start"])
    op.drop_column("history_rollups", "stats")


def downgrade() -> None:
    # MySQL takes a default of a BLOB only as an expression.
    empty = sa.text("('')")
    op.add_column(
        "history_rollups",
        sa.Column("stats", sa.LargeBinary, nullable=False, server_default=empty),
    )
    op.execute(
        "UPDATE history_rollups SET stats = (SELECT s.stats FROM history_stats s "
        "WHERE s.series_id = history_rollups.series_id AND s.level = history_rollups.level "
        "AND s.start = history_rollups.start)"
    )
    op.drop_table("history_stats")
