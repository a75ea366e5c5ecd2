"""The hourly look at every backup that there is: what is there, judged against what was declared. Pure."""
