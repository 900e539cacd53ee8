-- What the steps after this one fill, and the customer that one of them makes.
TRUNCATE orders, order_items, payments, reservations RESTART IDENTITY;
DELETE FROM users WHERE id >= ${customer};
ALTER TABLE users ALTER COLUMN id RESTART WITH ${customer};

-- What is left once the orders of orders.csv have taken theirs.
UPDATE stock SET available = limits.available
FROM (VALUES ('chair', 1), ('headphones', 0), ('lamp', 1), ('plant', 2)) AS limits (sku, available)
WHERE stock.sku = limits.sku;
