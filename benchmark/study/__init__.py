"""Study: blind pairs of two systems' clips for people to judge. pairs chooses, page shows, answers counts."""
