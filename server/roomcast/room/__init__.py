"""Stage 2: intents become events. A room decides, commits, and only then lets anybody see."""
