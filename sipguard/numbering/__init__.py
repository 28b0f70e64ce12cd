"""What was dialled: dial plans to E.164, classes of numbers, emergency numbers, rate decks, risky destinations."""
