"""From files to files: which pictures to enlarge, where the results go, videos."""
