"""Since when a server's health is what it is; a session's other processes and idleness."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def moment() -> sa.types.TypeEngine:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade() -> None:
    op.add_column("servers", sa.Column("answered_at", moment()))
    op.add_column("servers", sa.Column("health_since", moment()))
    op.add_column("sessions", sa.Column("companions", sa.Text))
    op.add_column("sessions", sa.Column("idle_since", moment()))


def downgrade() -> None:
    op.drop_column("sessions", "idle_since")
    op.drop_column("sessions", "companions")
    op.drop_column("servers", "health_since")
    op.drop_column("servers", "answered_at")
