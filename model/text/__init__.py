"""Text: prompts to the vectors that the network attends to. TEXT_ENCODERS in openuni/table.py names the encoders."""
