"""What the shop sells: products with a price, cached in Redis."""

from kit import server
from kit.cache import Cache
from kit.database import Database
from kit.server import Failure
from products import checked_product

TABLES = {
    "products": """
        CREATE TABLE IF NOT EXISTS products (
            sku text PRIMARY KEY,
            name text NOT NULL,
            description text NOT NULL,
            price_cents integer NOT NULL CHECK (price_cents > 0)
        );
        INSERT INTO products (sku, name, description, price_cents) VALUES
            ('mug', 'Stoneware mug', 'Holds one long debugging session.', 1800),
            ('notebook', 'Dotted notebook', 'For the diagram you will need again.', 1250),
            ('lamp', 'Desk lamp', 'Warm light, no flicker, one knob.', 5900),
            ('keyboard', 'Quiet keyboard', 'Tactile, but the room stays calm.', 8900),
            ('headphones', 'Headphones', 'Closed, light, and easy to repair.', 12900),
            ('backpack', 'Backpack', 'Carries a laptop and a lunch.', 7400),
            ('plant', 'Desk plant', 'Green like a passing build.', 1600),
            ('chair', 'Task chair', 'The last one you will need.', 34900)
        ON CONFLICT DO NOTHING;
    """
}
COLUMNS = "sku, name, description, price_cents AS \"priceCents\""
CACHE_SECONDS = 15
ALL_PRODUCTS = "catalog:products"

database = Database(TABLES)
cache = Cache()


def cached(key, load):
    value = cache.get(key)
    if value is None:
        value = load()
        cache.put(key, value, CACHE_SECONDS)
    return value


def product_key(sku):
    return f"catalog:product:{sku}"


def list_products(_request):
    def load():
        with database.transaction() as cursor:
            cursor.execute(f"SELECT {COLUMNS} FROM products ORDER BY name")
            return cursor.fetchall()

    return 200, {"products": cached(ALL_PRODUCTS, load)}


def get_product(_request, sku):
    def load():
        with database.transaction() as cursor:
            cursor.execute(f"SELECT {COLUMNS} FROM products WHERE sku = %s", (sku,))
            product = cursor.fetchone()
        if not product:
            raise Failure(404, "no_such_product", f"There is no product {sku}.")
        return product

    return 200, cached(product_key(sku), load)


def put_product(request, sku):
    product = checked_product(sku, request.body)
    with database.transaction() as cursor:
        cursor.execute(
            f"""
            INSERT INTO products (sku, name, description, price_cents)
            VALUES (%(sku)s, %(name)s, %(description)s, %(priceCents)s)
            ON CONFLICT (sku) DO UPDATE SET
                name = excluded.name, description = excluded.description, price_cents = excluded.price_cents
            RETURNING {COLUMNS}
            """,
            product,
        )
        saved = cursor.fetchone()
    cache.forget(ALL_PRODUCTS, product_key(sku))
    return 200, saved


def delete_product(_request, sku):
    with database.transaction() as cursor:
        cursor.execute("DELETE FROM products WHERE sku = %s", (sku,))
    cache.forget(ALL_PRODUCTS, product_key(sku))
    return 204, None


ROUTES = [
    ("GET", r"/products", list_products),
    ("GET", r"/products/([^/]+)", get_product),
    ("PUT", r"/products/([^/]+)", put_product),
    ("DELETE", r"/products/([^/]+)", delete_product),
]

if __name__ == "__main__":
    server.run(ROUTES, start=database.wait, ready=database.ensure_tables)
