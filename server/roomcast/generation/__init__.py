"""Stage 1: chunks become intents. Starting, feeding and stopping generations."""
