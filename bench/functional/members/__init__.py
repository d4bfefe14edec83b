"""Networks of several members: which channels and weights a member has, how alike members are, what they are worth."""
