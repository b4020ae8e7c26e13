"""Who acts: keys, tokens, registered clients, and the authorization server that joins them."""
