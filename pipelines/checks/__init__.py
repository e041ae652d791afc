"""Checks: stages that judge one modality's maps against the frames and the other maps. Scores only; rules decide."""
