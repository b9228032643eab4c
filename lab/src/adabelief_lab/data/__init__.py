"""Data sets: small files inside the package, full ones from folders that the user names."""
