"""From records to conclusions: statistics, summaries, paired tests, and their wording."""
