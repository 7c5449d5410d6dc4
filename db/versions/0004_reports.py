"""Reports, and what they count by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def long_text() -> sa.types.TypeEngine:
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("period_key", sa.String(80), nullable=False),
        sa.Column("since", moment(), nullable=False),
        sa.Column("until", moment(), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("claimed_at", moment(), nullable=False),
        sa.Column("made_at", moment()),
        sa.Column("content", long_text()),
        sa.Column("html", long_text()),
        sa.Column("text", long_text()),
        sa.Column("deliveries", sa.Text, nullable=False),
        sa.Column("next_attempt_at", moment()),
        sa.UniqueConstraint("period_key", name="uq_reports_period"),
        **MYSQL,
    )
    op.create_index("ix_reports_until", "reports", ["kind", "until"])
    op.create_index("ix_reports_next_attempt", "reports", ["next_attempt_at"])
    op.create_index("ix_events_kind", "events", ["kind", "at"])
    op.create_index("ix_sessions_ended", "sessions", ["ended_at"])


def downgrade() -> None:
    op.drop_index("ix_sessions_ended", "sessions")
    op.drop_index("ix_events_kind", "events")
    op.drop_table("reports")
