"""What came of it, and how sure that is: pure mathematics of labels and predictions."""
