import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from accounts import checked_user
from kit.server import Failure


class CheckedUser(unittest.TestCase):
    def test_trims_the_name_and_lowers_the_address(self):
        self.assertEqual(checked_user({"name": " Ada ", "email": "Ada@Example.com"}), ("Ada", "ada@example.com"))

    def test_reports_every_problem_at_once(self):
        with self.assertRaises(Failure) as caught:
            checked_user({"name": "", "email": "nowhere"})
        self.assertEqual(caught.exception.status, 422)
        self.assertEqual(set(caught.exception.body["error"]["fields"]), {"name", "email"})


if __name__ == "__main__":
    unittest.main()
