"""Files that are sent to be transcribed: kept on disk, decoded, and given to a session."""
