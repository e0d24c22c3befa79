"""What makes the attacks fast and is no attack's own: the loop around them, batches that shrink, gradients, queries."""
