"""What a team does with recorded datasets over the years: releasing, checking their health, cleaning up."""
