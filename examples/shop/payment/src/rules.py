"""Which payments are declined."""

DECLINED_CARD_ENDING = "0002"
HIGHEST_AMOUNT_CENTS = 100_000


def decline_reason(amount_cents, card):
    """Returns why a payment is declined, or None when it is approved."""
    if card.endswith(DECLINED_CARD_ENDING):
        return "card_declined"
    if amount_cents > HIGHEST_AMOUNT_CENTS:
        return "amount_over_limit"
    return None
