"""Films: what they are, their luma frames, and the frame store made from them."""
