"""Gen: scores of generated RGB. samples reads what is asked, reannotate looks, control and foreground compare."""
