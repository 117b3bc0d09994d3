"""scripts/bench compare, report and check: Forebay beside its peers, and one build beside another."""
