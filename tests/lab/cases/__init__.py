"""What happens in each recorded case; the same scenes serve the recordings and the live tests."""
