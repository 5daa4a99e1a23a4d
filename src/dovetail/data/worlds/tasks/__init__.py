"""What can be asked of scenes: negatives, edits, questions, referring expressions, dialogues."""
