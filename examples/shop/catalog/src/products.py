"""The rules for a product."""

import re

from kit.server import Failure

SKU = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
HIGHEST_PRICE_CENTS = 10_000_000


def checked_product(sku, body):
    """Returns the product ready to be saved, or fails with what is wrong."""
    name = str(body.get("name") or "").strip()
    price = body.get("priceCents")
    problems = {}
    if not SKU.fullmatch(sku):
        problems["sku"] = "must be 1 to 40 lower-case letters, digits and hyphens"
    if not 1 <= len(name) <= 80:
        problems["name"] = "must have 1 to 80 characters"
    if type(price) is not int or not 0 < price <= HIGHEST_PRICE_CENTS:
        problems["priceCents"] = f"must be a whole number from 1 to {HIGHEST_PRICE_CENTS}"
    if problems:
        raise Failure(422, "invalid_product", "The product is not valid.", fields=problems)
    return {"sku": sku, "name": name, "description": str(body.get("description") or ""), "priceCents": price}
