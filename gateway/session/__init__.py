"""Sessions: what one task of one principal has touched, and how much it may still do."""
