import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from kit.server import Failure
from products import checked_product


class CheckedProduct(unittest.TestCase):
    def test_a_complete_product(self):
        product = checked_product("mug", {"name": "Mug", "priceCents": 1800})
        self.assertEqual(product, {"sku": "mug", "name": "Mug", "description": "", "priceCents": 1800})

    def test_prices_that_are_not_whole_positive_numbers(self):
        for price in (0, -1, 1.5, "12", True, None):
            with self.subTest(price=price), self.assertRaises(Failure):
                checked_product("mug", {"name": "Mug", "priceCents": price})

    def test_a_sku_that_would_not_fit_into_a_path(self):
        with self.assertRaises(Failure):
            checked_product("a/b", {"name": "Mug", "priceCents": 1})


if __name__ == "__main__":
    unittest.main()
