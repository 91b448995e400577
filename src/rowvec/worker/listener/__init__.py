"""The Postgres port: connections, logins, sessions."""
