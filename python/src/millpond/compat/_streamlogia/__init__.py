"""What the two drop-ins for Streamlogia's packages share, beside the client itself."""
