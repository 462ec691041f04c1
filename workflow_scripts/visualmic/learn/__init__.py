"""Networks that learn to hear: data, networks, training, prediction and the table of results."""
