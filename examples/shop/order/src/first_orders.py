"""Places a few orders when there are none, so that a new shop has something to show. May run any number of times."""

import uuid

from kit import log
from kit.client import call

SHOP = "http://localhost:8080"
BASKETS = [
    (1, ["mug", "notebook"]),
    (2, ["mug", "plant"]),
    (3, ["lamp", "notebook", "mug"]),
]


def main():
    request_id = f"first-orders-{uuid.uuid4().hex[:8]}"
    _, answer = call("GET", f"{SHOP}/orders?limit=1", request_id)
    if answer["orders"]:
        log.info("there are orders already", requestId=request_id)
        return
    for user_id, skus in BASKETS:
        items = [{"sku": sku, "quantity": 1} for sku in skus]
        status, answer = call("POST", f"{SHOP}/orders", request_id, {"userId": user_id, "items": items})
        if status != 201:
            raise SystemExit(f"the order of {', '.join(skus)} was refused: {answer['error']['message']}")
    log.info("first orders placed", orders=len(BASKETS), requestId=request_id)


if __name__ == "__main__":
    main()
