-- What is filled here.
TRUNCATE orders, order_items, payments, reservations RESTART IDENTITY;
DELETE FROM users WHERE id > 3;
ALTER TABLE users ALTER COLUMN id RESTART WITH 4;

INSERT INTO users (name, email, created_at)
SELECT 'Customer ' || number, 'customer' || number || '@example.com', '2025-01-01T00:00:00Z'
FROM generate_series(4, ${users}) AS number;

-- Order `number` has one to three different products. Every twentieth is declined; none is over the limit of a payment.
WITH numbered AS (
    SELECT row_number() OVER (ORDER BY sku) - 1 AS place, sku, name, price_cents FROM products
), lines AS (
    SELECT number, 'o-' || lpad(to_hex(number), 12, '0') AS order_id, sku, name, price_cents,
        CASE WHEN price_cents > 10000 THEN 1 ELSE 1 + number % 3 END AS quantity
    FROM generate_series(1, ${orders}) AS number
    CROSS JOIN generate_series(0, number % 3) AS line
    JOIN numbered ON place = (number + line * (1 + number % 2)) % 8
), placed AS (
    INSERT INTO orders (id, user_id, status, total_cents, created_at)
    SELECT order_id, 1 + number % ${users}, CASE WHEN number % 20 = 0 THEN 'declined' ELSE 'paid' END,
        sum(quantity * price_cents), timestamptz '2025-01-01T00:00:00Z' + number * interval '30 minutes'
    FROM lines GROUP BY number, order_id
)
INSERT INTO order_items (order_id, sku, name, quantity, price_cents)
SELECT order_id, sku, name, quantity, price_cents FROM lines;

INSERT INTO payments (order_id, user_id, amount_cents, card_last4, status, reason, created_at)
SELECT id, user_id, total_cents,
    CASE status WHEN 'paid' THEN '4242' ELSE '0002' END,
    CASE status WHEN 'paid' THEN 'approved' ELSE 'declined' END,
    CASE status WHEN 'paid' THEN NULL ELSE 'card_declined' END,
    created_at
FROM orders ORDER BY created_at;

INSERT INTO reservations (order_id, sku, quantity, created_at)
SELECT order_id, sku, quantity, created_at FROM order_items JOIN orders ON orders.id = order_id WHERE status = 'paid';

-- What is left after them.
UPDATE stock SET available = 10000;

ANALYZE users, orders, order_items, payments, reservations, stock;
