"""What a report is made of: runs, statistics, tables, plots, the comparison figure and the page."""
