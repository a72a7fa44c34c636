"""From recordings, or from another program's table, to the views of a store."""
