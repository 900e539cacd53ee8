"""Takes payments: every attempt is a row, approved or declined."""

import re

from kit import log, server
from kit.database import Database
from kit.server import Failure
from rules import decline_reason

TABLES = {
    "payments": """
        CREATE TABLE IF NOT EXISTS payments (
            id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            order_id text NOT NULL UNIQUE,
            user_id integer NOT NULL,
            amount_cents integer NOT NULL,
            card_last4 text NOT NULL,
            status text NOT NULL,
            reason text,
            created_at timestamptz NOT NULL DEFAULT now()
        );
    """
}
COLUMNS = """
    id, order_id AS "orderId", user_id AS "userId", amount_cents AS "amountCents",
    card_last4 AS "cardLast4", status, reason, created_at AS "createdAt"
"""
CARD = re.compile(r"\d{12,19}")

database = Database(TABLES)


def take_payment(request):
    order_id, user_id, amount_cents, card = checked_payment(request.body)
    reason = decline_reason(amount_cents, card)
    with database.transaction() as cursor:
        # An order is paid once: a repeated request gets the first answer.
        cursor.execute(
            """
            INSERT INTO payments (order_id, user_id, amount_cents, card_last4, status, reason)
            VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (order_id) DO NOTHING
            """,
            (order_id, user_id, amount_cents, card[-4:], "declined" if reason else "approved", reason),
        )
        cursor.execute(f"SELECT {COLUMNS} FROM payments WHERE order_id = %s", (order_id,))
        payment = cursor.fetchone()
    log.info("payment " + payment["status"], orderId=order_id, amountCents=amount_cents,
             reason=payment["reason"], requestId=request.id)
    if payment["status"] == "declined":
        raise Failure(402, "payment_declined", "The payment was declined.", reason=payment["reason"])
    return 201, payment


def checked_payment(body):
    card = str(body.get("card") or "").replace(" ", "")
    numbers = (body.get("userId"), body.get("amountCents"))
    if not body.get("orderId") or not CARD.fullmatch(card) or any(type(n) is not int or n < 1 for n in numbers):
        raise Failure(422, "invalid_payment", "A payment needs orderId, userId, amountCents and a card number.")
    return body["orderId"], *numbers, card


def list_payments(request):
    order_id = request.query.get("orderId")
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM payments WHERE %(order)s IS NULL OR order_id = %(order)s ORDER BY id DESC LIMIT 100",
            {"order": order_id},
        )
        return 200, {"payments": cursor.fetchall()}


ROUTES = [
    ("GET", r"/payments", list_payments),
    ("POST", r"/payments", take_payment),
]

if __name__ == "__main__":
    server.run(ROUTES, start=database.wait, ready=database.ensure_tables)
