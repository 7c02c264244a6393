"""What recipes have to beat: counts, rules and neighbours, without a network."""
