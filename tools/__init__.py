"""What builds the project's generated files."""
