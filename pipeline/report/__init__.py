"""What a person looks at: one page, its tables and pictures."""
