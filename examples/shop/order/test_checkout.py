import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from checkout import checked_wish, priced_items, reserve_and_pay, total_cents
from kit.server import Failure


class Shop:
    """Stands for the other services: answers by (method, service) and remembers the calls."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def __call__(self, method, service, path, body=None):
        self.calls.append(f"{method} {service} {path}")
        return self.answers.get(f"{method}_{service}", (204, None))


def wish(**changes):
    return checked_wish({"userId": 1, "items": [{"sku": "mug", "quantity": 2}], **changes})


class CheckedWish(unittest.TestCase):
    def test_lines_of_one_sku_become_one(self):
        items = [{"sku": "mug", "quantity": 1}, {"sku": "lamp", "quantity": 1}, {"sku": "mug", "quantity": 2}]
        self.assertEqual(wish(items=items).quantities, {"mug": 3, "lamp": 1})

    def test_what_nobody_may_ask_for(self):
        wrong = [
            {"userId": "1"}, {"userId": 0}, {"items": []}, {"items": "mug"}, {"items": ["mug"]},
            {"items": [{"sku": "mug"}]}, {"items": [{"sku": "mug", "quantity": 0}]},
            {"items": [{"sku": "mug", "quantity": 101}]},
        ]
        for changes in wrong:
            with self.subTest(changes=changes), self.assertRaises(Failure) as caught:
                wish(**changes)
            self.assertEqual(caught.exception.status, 422)


class Checkout(unittest.TestCase):
    def test_items_carry_the_price_of_the_catalog(self):
        shop = Shop(GET_user=(200, {"id": 1}), GET_catalog=(200, {"name": "Mug", "priceCents": 1800}))
        items = priced_items(wish(), shop)
        self.assertEqual(items, [{"sku": "mug", "name": "Mug", "quantity": 2, "priceCents": 1800}])
        self.assertEqual(total_cents(items), 3600)

    def test_an_unknown_user_is_the_askers_mistake(self):
        shop = Shop(GET_user=(404, {"error": {"code": "no_such_user", "message": "There is no user 1."}}))
        with self.assertRaises(Failure) as caught:
            priced_items(wish(), shop)
        self.assertEqual(caught.exception.status, 422)

    def test_stock_first_then_money(self):
        shop = Shop(POST_inventory=(201, {}), POST_payment=(201, {}))
        reserve_and_pay("o-1", wish(), 3600, shop)
        self.assertEqual(shop.calls, ["POST inventory /reservations", "POST payment /payments"])

    def test_without_stock_nothing_is_paid(self):
        shop = Shop(POST_inventory=(409, {"error": {"code": "out_of_stock", "message": "None left."}}))
        with self.assertRaises(Failure) as caught:
            reserve_and_pay("o-1", wish(), 3600, shop)
        self.assertEqual(caught.exception.status, 409)
        self.assertEqual(shop.calls, ["POST inventory /reservations"])

    def test_a_declined_payment_gives_the_stock_back(self):
        error = {"code": "payment_declined", "message": "Declined.", "reason": "card_declined"}
        shop = Shop(POST_inventory=(201, {}), POST_payment=(402, {"error": error}))
        with self.assertRaises(Failure) as caught:
            reserve_and_pay("o-1", wish(), 3600, shop)
        self.assertEqual(caught.exception.body["error"], error)
        self.assertEqual(shop.calls[-1], "DELETE inventory /reservations/o-1")


if __name__ == "__main__":
    unittest.main()
