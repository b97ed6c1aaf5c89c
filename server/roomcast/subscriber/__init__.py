"""Stage 3: seqs become payloads. Who is live, who catches up, and who is too slow."""
