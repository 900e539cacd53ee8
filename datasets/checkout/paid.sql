-- What the payment service has of each order. A declined one was over its limit, or its card is refused.
INSERT INTO payments (order_id, user_id, amount_cents, card_last4, status, reason, created_at)
SELECT id, user_id, total_cents,
    CASE WHEN status = 'declined' AND total_cents <= 100000 THEN '0002' ELSE '4242' END,
    CASE status WHEN 'paid' THEN 'approved' ELSE 'declined' END,
    CASE WHEN status = 'paid' THEN NULL WHEN total_cents > 100000 THEN 'amount_over_limit' ELSE 'card_declined' END,
    created_at
FROM orders ORDER BY created_at;

-- What the inventory holds for it. A declined one has given its pieces back.
INSERT INTO reservations (order_id, sku, quantity, created_at)
SELECT order_id, sku, quantity, created_at FROM order_items JOIN orders ON orders.id = order_id WHERE status = 'paid';
