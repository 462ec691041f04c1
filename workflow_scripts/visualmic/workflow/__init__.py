"""What a job of the workflow needs around its one library call."""
