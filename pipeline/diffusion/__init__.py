"""Gen-SER's mathematics: class codes, the path from embedding to code, the walk along it."""
