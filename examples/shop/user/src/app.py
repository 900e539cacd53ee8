"""Who shops here: users with a name and an e-mail address."""

import psycopg2.errors

from accounts import checked_user
from kit import server
from kit.database import Database
from kit.server import Failure

TABLES = {
    "users": """
        CREATE TABLE IF NOT EXISTS users (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL,
            email text NOT NULL UNIQUE,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        INSERT INTO users (name, email) VALUES
            ('Ada', 'ada@example.com'),
            ('Ben', 'ben@example.com'),
            ('Chloe', 'chloe@example.com')
        ON CONFLICT DO NOTHING;
    """
}
COLUMNS = "id, name, email, created_at AS \"createdAt\""

database = Database(TABLES)


def list_users(_request):
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM users ORDER BY id LIMIT 100")
        return 200, {"users": cursor.fetchall()}


def get_user(_request, user_id):
    with database.transaction() as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM users WHERE id = %s", (user_id,))
        user = cursor.fetchone()
    if not user:
        raise Failure(404, "no_such_user", f"There is no user {user_id}.")
    return 200, user


def create_user(request):
    name, email = checked_user(request.body)
    try:
        with database.transaction() as cursor:
            cursor.execute(f"INSERT INTO users (name, email) VALUES (%s, %s) RETURNING {COLUMNS}", (name, email))
            return 201, cursor.fetchone()
    except psycopg2.errors.UniqueViolation:
        raise Failure(409, "email_taken", f"There is a user with the address {email}.") from None


def delete_user(_request, user_id):
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM users WHERE id = %s", (user_id,))
    return 204, None


ROUTES = [
    ("GET", r"/users", list_users),
    ("POST", r"/users", create_user),
    ("GET", r"/users/(\d{1,9})", get_user),
    ("DELETE", r"/users/(\d{1,9})", delete_user),
]

if __name__ == "__main__":
    server.run(ROUTES, start=database.wait, ready=database.ensure_tables)
