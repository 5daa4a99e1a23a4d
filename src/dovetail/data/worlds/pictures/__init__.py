"""How scenes look: styles, cameras, motion, depth."""
