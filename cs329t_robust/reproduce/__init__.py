"""Papers' tables with a column of our own: `cs329t reproduce`."""
