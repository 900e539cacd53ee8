"""The rules for a new user."""

import re

from kit.server import Failure

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def checked_user(body):
    """Returns the trimmed name and the lower-case address, or fails with what is wrong."""
    name = str(body.get("name") or "").strip()
    email = str(body.get("email") or "").strip().lower()
    problems = {}
    if not 1 <= len(name) <= 80:
        problems["name"] = "must have 1 to 80 characters"
    if len(email) > 200 or not EMAIL.fullmatch(email):
        problems["email"] = "must be an address such as ada@example.com"
    if problems:
        raise Failure(422, "invalid_user", "The user is not valid.", fields=problems)
    return name, email
