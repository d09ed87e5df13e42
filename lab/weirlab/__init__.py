"""The lab: experiments as plans, results as data, charts and a report drawn from the data."""
