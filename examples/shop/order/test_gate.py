import sys
import threading
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "src"))

from gate import Gate


class Resting(unittest.TestCase):
    def test_whoever_is_inside_is_waited_for(self):
        gate, inside, leave = Gate(), threading.Event(), threading.Event()

        def stay():
            with gate:
                inside.set()
                leave.wait()

        guest = threading.Thread(target=stay)
        guest.start()
        inside.wait()
        closing = threading.Thread(target=gate.close)
        closing.start()
        closing.join(0.05)
        self.assertTrue(closing.is_alive())
        leave.set()
        closing.join()
        guest.join()

    def test_nobody_comes_in_until_it_is_opened(self):
        gate, came = Gate(), threading.Event()
        self.assertTrue(gate.close())

        def come():
            with gate:
                came.set()

        guest = threading.Thread(target=come)
        guest.start()
        self.assertFalse(came.wait(0.05))
        gate.open()
        self.assertTrue(came.wait(5))
        guest.join()

    def test_it_opens_by_itself_when_nobody_comes_back(self):
        gate = Gate(longest_rest=0.05)
        gate.close()
        with gate:
            pass

    def test_it_says_when_somebody_does_not_leave(self):
        gate = Gate(longest_rest=0.05)
        with gate:
            self.assertFalse(gate.close())


if __name__ == "__main__":
    unittest.main()
