"""Array-like views of rows: index expressions, mappings, mapped datasets."""
