"""First tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine:
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def long_text() -> sa.types.TypeEngine:
    return sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "servers",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("spec", long_text(), nullable=False),
        sa.Column("health", sa.String(16), nullable=False),
        sa.Column("health_reason", sa.Text, nullable=False),
        sa.Column("drained", sa.Boolean, nullable=False),
        sa.Column("present", sa.Boolean, nullable=False),
        sa.Column("load_sample", sa.Text),
        sa.Column("checked_at", moment()),
        sa.Column("version", sa.Integer, nullable=False),
        **MYSQL,
    )
    op.create_table(
        "games",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("spec", long_text(), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        **MYSQL,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("game_id", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("server_name", sa.String(128), sa.ForeignKey("servers.name"), nullable=False),
        sa.Column("stream_address", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stream_port", sa.Integer, nullable=False),
        sa.Column("control_port", sa.Integer, nullable=False),
        sa.Column("concurrency", sa.String(16), nullable=False),
        sa.Column("config_file", sa.Text),
        sa.Column("requested_by", sa.String(128), nullable=False),
        sa.Column("launch_pid", sa.BigInteger),
        sa.Column("launch_created_at", moment()),
        sa.Column("launch_image", sa.Text),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("updated_at", moment(), nullable=False),
        sa.Column("started_at", moment()),
        sa.Column("ended_at", moment()),
        sa.Column("ended_how", sa.String(16)),
        sa.Column("end_detail", sa.Text),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text),
        sa.Column("decision", long_text(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        **MYSQL,
    )
    op.create_index("ix_sessions_state", "sessions", ["state"])
    op.create_index("ix_sessions_server", "sessions", ["server_name", "created_at"])
    op.create_index("ix_sessions_created", "sessions", ["created_at", "id"])
    op.create_table(
        "session_ports",
        sa.Column("server_name", sa.String(128), sa.ForeignKey("servers.name"), primary_key=True),
        sa.Column("port", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.String(64), sa.ForeignKey("sessions.id"), nullable=False),
        **MYSQL,
    )
    op.create_index("ix_session_ports_session", "session_ports", ["session_id"])
    op.create_table(
        "events",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("at", moment(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("session_id", sa.String(64)),
        sa.Column("server_name", sa.String(128)),
        sa.Column("data", sa.Text, nullable=False),
        **MYSQL,
    )
    op.create_index("ix_events_session", "events", ["session_id", "id"])
    op.create_index("ix_events_server", "events", ["server_name", "id"])
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("secret_digest", sa.String(64), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("revoked_at", moment()),
        **MYSQL,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("idempotency_key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("body", long_text()),
        sa.Column("headers", sa.Text),
        sa.Column("begun_at", moment(), nullable=False),
        **MYSQL,
    )
    op.create_index("ix_idempotency_begun", "idempotency_keys", ["begun_at"])


def downgrade() -> None:
    for table in (
        "idempotency_keys",
        "tokens",
        "events",
        "session_ports",
        "sessions",
        "games",
        "servers",
    ):
        op.drop_table(table)
