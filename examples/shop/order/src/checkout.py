"""Placing an order: the rules for what may be asked, and the calls to the other services in their order."""

from dataclasses import dataclass

from kit.server import Failure

DEFAULT_CARD = "4242424242424242"
MOST_LINES = 20
MOST_PIECES = 100


@dataclass
class Wish:
    """What somebody wants to buy: quantities by SKU."""

    user_id: int
    card: str
    quantities: dict


def checked_wish(body):
    """Reads an order request; several lines for one SKU become one."""
    user_id, items = body.get("userId"), body.get("items")
    if type(user_id) is not int or not 0 < user_id < 1_000_000_000:
        raise Failure(422, "invalid_order", "userId must be the number of a user.")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_LINES:
        raise Failure(422, "invalid_order", f"items must be a list of 1 to {MOST_LINES} lines.")
    quantities = {}
    for item in items:
        sku, quantity = (item.get("sku"), item.get("quantity")) if isinstance(item, dict) else (None, None)
        if not isinstance(sku, str) or not sku or type(quantity) is not int or quantity < 1:
            raise Failure(422, "invalid_order", "Every item needs a sku and a quantity of at least 1.")
        quantities[sku] = quantities.get(sku, 0) + quantity
    if max(quantities.values()) > MOST_PIECES:
        raise Failure(422, "invalid_order", f"Nobody may order more than {MOST_PIECES} of one product.")
    return Wish(user_id, str(body.get("card") or DEFAULT_CARD), quantities)


def priced_items(wish, call):
    """The order's lines with the names and prices of this moment."""
    _expect(200, call("GET", "user", f"/users/{wish.user_id}"), {404: 422})
    items = []
    for sku, quantity in wish.quantities.items():
        product = _expect(200, call("GET", "catalog", f"/products/{sku}"), {404: 422})
        items.append({"sku": sku, "name": product["name"], "quantity": quantity, "priceCents": product["priceCents"]})
    return items


def total_cents(items):
    return sum(item["quantity"] * item["priceCents"] for item in items)


def reserve_and_pay(order_id, wish, amount_cents, call):
    """Takes the stock, then the money; gives the stock back when the money does not come."""
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in wish.quantities.items()]
    _expect(201, call("POST", "inventory", "/reservations", {"orderId": order_id, "items": lines}))
    payment = {"orderId": order_id, "userId": wish.user_id, "amountCents": amount_cents, "card": wish.card}
    try:
        _expect(201, call("POST", "payment", "/payments", payment))
    except Failure:
        call("DELETE", "inventory", f"/reservations/{order_id}")
        raise


def _expect(wanted, answer, other_statuses=None):
    """The body of the wanted answer; any other becomes this service's failure."""
    status, body = answer
    if status == wanted:
        return body
    error = (body or {}).get("error") or {"code": "upstream_failed", "message": f"Unexpected status {status}."}
    status = (other_statuses or {}).get(status, status if status < 500 else 502)
    raise Failure(status, **error)
