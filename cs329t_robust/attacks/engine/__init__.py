"""What makes the attacks fast and is no attack's own: batches that shrink, the gradient, recording, queries."""
