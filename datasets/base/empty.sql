-- Everything that the services keep. Their tables stay: they made them when they started.
TRUNCATE users, products, stock, reservations, orders, order_items, payments RESTART IDENTITY;
