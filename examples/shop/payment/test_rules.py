import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from rules import decline_reason


class DeclineReason(unittest.TestCase):
    def test_an_ordinary_payment_is_approved(self):
        self.assertIsNone(decline_reason(1800, "4242424242424242"))

    def test_the_limit_itself_is_approved(self):
        self.assertIsNone(decline_reason(100_000, "4242424242424242"))

    def test_more_than_the_limit_is_declined(self):
        self.assertEqual(decline_reason(100_001, "4242424242424242"), "amount_over_limit")

    def test_a_declined_card_is_declined_at_any_amount(self):
        self.assertEqual(decline_reason(1, "4000000000000002"), "card_declined")


if __name__ == "__main__":
    unittest.main()
