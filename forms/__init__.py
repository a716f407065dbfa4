"""What a browser may send: fields, lengths, wording. No queries and no rules."""
