"""From records to conclusions: statistics, standings, paired tests, and their wording."""
