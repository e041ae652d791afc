"""The engine every long job runs on: stages over frozen units of clips, committed unit by unit."""
