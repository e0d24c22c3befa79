"""Our attacks timed beside other libraries': `make bench`. Not part of the package, nothing imports it."""
