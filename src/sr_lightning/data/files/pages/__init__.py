"""Files of several pictures: animations, frame by frame, and pages."""
