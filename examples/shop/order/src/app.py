"""Orders: reserves stock, takes the payment and remembers what was bought."""

import os
import uuid
from urllib.parse import quote

from checkout import checked_wish, priced_items, reserve_and_pay, total_cents
from gate import Gate
from kit import log, server
from kit.cache import Cache
from kit.client import call
from kit.database import Database
from kit.server import Failure

TABLES = {
    "orders": """
        CREATE TABLE IF NOT EXISTS orders (
            id text PRIMARY KEY,
            user_id integer NOT NULL,
            status text NOT NULL,
            total_cents integer NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX IF NOT EXISTS orders_by_time ON orders (created_at DESC);
    """,
    "order_items": """
        CREATE TABLE IF NOT EXISTS order_items (
            order_id text NOT NULL REFERENCES orders ON DELETE CASCADE,
            sku text NOT NULL,
            name text NOT NULL,
            quantity integer NOT NULL CHECK (quantity > 0),
            price_cents integer NOT NULL,
            PRIMARY KEY (order_id, sku)
        );
    """,
}
SELECT_ORDERS = """
    SELECT id, user_id AS "userId", status, total_cents AS "totalCents", created_at AS "createdAt",
        (SELECT json_agg(json_build_object(
                'sku', sku, 'name', name, 'quantity', quantity, 'priceCents', price_cents) ORDER BY sku)
         FROM order_items WHERE order_id = orders.id) AS items
    FROM orders
"""
CACHE_SECONDS = 300
# The recommendation service reads this counter to know that its results are old.
VERSION = "orders:version"

SERVICES = {
    "user": os.environ.get("USER_URL", "http://user:8080"),
    "catalog": os.environ.get("CATALOG_URL", "http://catalog:8080"),
    "inventory": os.environ.get("INVENTORY_URL", "http://inventory:8080"),
    "payment": os.environ.get("PAYMENT_URL", "http://payment:8080"),
}

database = Database(TABLES)
cache = Cache()
gate = Gate()


def place_order(request):
    # An order is written to the database and to redis: a snapshot must not fall in between.
    with gate:
        return placed(request)


def placed(request):
    wish = checked_wish(request.body)

    def call_service(method, service, path, body=None):
        return call(method, SERVICES[service] + quote(path), request.id, body)

    items = priced_items(wish, call_service)
    order_id = "o-" + uuid.uuid4().hex[:12]
    amount = total_cents(items)
    try:
        reserve_and_pay(order_id, wish, amount, call_service)
    except Failure as failure:
        if failure.status == 402:
            save(order_id, wish.user_id, "declined", amount, items)
        log.warn("order refused", orderId=order_id, code=failure.body["error"]["code"], requestId=request.id)
        raise
    order = save(order_id, wish.user_id, "paid", amount, items)
    log.info("order placed", orderId=order_id, totalCents=amount, requestId=request.id)
    return 201, order


def save(order_id, user_id, status, amount, items):
    with database.transaction() as cursor:
        cursor.execute(
            "INSERT INTO orders (id, user_id, status, total_cents) VALUES (%s, %s, %s, %s)",
            (order_id, user_id, status, amount),
        )
        cursor.executemany(
            """
            INSERT INTO order_items (order_id, sku, name, quantity, price_cents)
            VALUES (%(order)s, %(sku)s, %(name)s, %(quantity)s, %(priceCents)s)
            """,
            [{"order": order_id, **item} for item in items],
        )
        cursor.execute(SELECT_ORDERS + "WHERE id = %s", (order_id,))
        order = cursor.fetchone()
    cache.put(order_key(order_id), order, CACHE_SECONDS)
    cache.bump(VERSION)
    return order


def order_key(order_id):
    return f"order:{order_id}"


def list_orders(request):
    try:
        limit = min(max(int(request.query.get("limit", 20)), 1), 1000)
    except ValueError:
        raise Failure(400, "bad_limit", "limit must be a number.") from None
    with database.transaction() as cursor:
        cursor.execute(SELECT_ORDERS + "ORDER BY created_at DESC LIMIT %s", (limit,))
        return 200, {"orders": cursor.fetchall()}


def get_order(_request, order_id):
    order = cache.get(order_key(order_id))
    if order is None:
        with database.transaction() as cursor:
            cursor.execute(SELECT_ORDERS + "WHERE id = %s", (order_id,))
            order = cursor.fetchone()
        if not order:
            raise Failure(404, "no_such_order", f"There is no order {order_id}.")
        cache.put(order_key(order_id), order, CACHE_SECONDS)
    return 200, order


def rest(_request):
    if not gate.close():
        gate.open()
        raise Failure(503, "busy", "Orders that were begun do not end.")
    return 204, None


def wake(_request):
    gate.open()
    return 204, None


ROUTES = [
    ("GET", r"/orders", list_orders),
    ("POST", r"/orders", place_order),
    ("GET", r"/orders/([^/]+)", get_order),
    ("POST", r"/internal/rest", rest),
    ("DELETE", r"/internal/rest", wake),
]

if __name__ == "__main__":
    server.run(ROUTES, start=database.wait, ready=database.ensure_tables)
