"""The claims ledger: what the lecture and the papers say, and what this workbook finds when it runs it."""
